import { ChatError, type Fault, type OnFault, toBeMended } from "../platform/errors.js";

/**
 * Runs an adapter's calls: throws what its client library throws as `UNAVAILABLE`, with the failure as the cause,
 * and tells `onFault` of what `faultIn` finds to be a fault, which only whoever runs the bus can mend.
 */
export const guardedBy =
  (faultIn: (error: unknown) => Fault | undefined, onFault: OnFault) =>
  async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (cause) {
      const fault = faultIn(cause);
      if (fault === undefined)
        throw new ChatError("UNAVAILABLE", "The event bus can't be reached right now; send it again.", {
          cause,
        });
      onFault(fault);
      throw toBeMended(cause);
    }
  };
