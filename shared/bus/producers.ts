import type { EventHubProducerClient } from "@azure/event-hubs";

/** The producers of a namespace: one for each hub, opened on its first use and kept. */
export interface Producers {
  /** The hub's producer, where one is open. */
  opened(hub: string): EventHubProducerClient | undefined;
  /** Does something with the hub's producer. */
  use<Result>(hub: string, act: (producer: EventHubProducerClient) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/**
 * Keeps producers until one gets no answer in any of an operation's attempts. The next operation then opens
 * another, over a new connection. The SDK would go on writing into a connection that the network has forgotten
 * until it has heard nothing for two minutes, twice its idle timeout.
 */
export function keepProducers(open: (hub: string) => EventHubProducerClient): Producers {
  const producers = new Map<string, EventHubProducerClient>();

  const producerOf = (hub: string): EventHubProducerClient => {
    const known = producers.get(hub);
    if (known) return known;
    const opened = open(hub);
    producers.set(hub, opened);
    return opened;
  };

  const giveUp = (hub: string, producer: EventHubProducerClient): void => {
    if (producers.get(hub) !== producer) return;
    producers.delete(hub);
    // Closing waits for a peer that may never answer.
    producer.close().catch(() => {});
  };

  return {
    opened: (hub) => producers.get(hub),
    async use(hub, act) {
      const producer = producerOf(hub);
      try {
        return await act(producer);
      } catch (error) {
        if (isUnanswered(error)) giveUp(hub, producer);
        throw error;
      }
    },
    async close() {
      const all = [...producers.values()];
      producers.clear();
      await Promise.all(all.map((one) => one.close()));
    },
  };
}

/** Whether each attempt timed out. After several the SDK throws an `AggregateError` of them all. */
function isUnanswered(error: unknown): boolean {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: unknown };
  if (Array.isArray(errors)) return errors.length > 0 && errors.every(isUnanswered);
  return code === "OperationTimeoutError";
}
