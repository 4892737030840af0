import { createNoopMeter, type Meter, type MeterProvider, metrics } from "@opentelemetry/api";

const METER = "nonstop-chat";

/** Whether an SDK for metrics is registered. */
export const hasMeters = (): boolean => metrics.getMeter(METER) !== createNoopMeter();

/**
 * The instruments that `create` makes of the registered provider; nothing where there is none. An SDK may
 * come later: the first call that meets it makes them, and `onMade` hears of it.
 */
export function instrumentsOf<T extends object>(
  create: (meter: Meter) => T,
  onMade: (made: T) => void = () => {},
): () => T | undefined {
  let provider: MeterProvider | undefined;
  let made: T | undefined;
  return () => {
    const current = metrics.getMeterProvider();
    if (current === provider) return made;
    provider = current;
    made = hasMeters() ? create(metrics.getMeter(METER)) : undefined;
    if (made) onMade(made);
    return made;
  };
}
