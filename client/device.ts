export interface DeviceListeners {
  /** The device has a network again, as far as the browser knows. */
  readonly onOnline: () => void;
  readonly onOffline: () => void;
  /** The page has come to the front, or out of the browser's store of pages. */
  readonly onShown: () => void;
  /** The page was hidden, and may be ended without another word. */
  readonly onHidden: () => void;
}

/**
 * Listens to what a browser tells about its device and the page; Node tells nothing. Returns what ends it.
 */
export function listenToDevice({ onOnline, onOffline, onShown, onHidden }: DeviceListeners): () => void {
  const look = () => (globalThis.document?.visibilityState === "hidden" ? onHidden() : onShown());
  const events: readonly (readonly [target: EventTarget | undefined, event: string, hear: () => void])[] = [
    [pageOrWorker(), "online", onOnline],
    [pageOrWorker(), "offline", onOffline],
    [pageOrWorker(), "pageshow", look],
    [globalThis.document, "visibilitychange", look],
    [globalThis.document, "resume", look],
  ];
  for (const [target, event, hear] of events) target?.addEventListener(event, hear);
  return () => {
    for (const [target, event, hear] of events) target?.removeEventListener(event, hear);
  };
}

const pageOrWorker = (): EventTarget | undefined =>
  "addEventListener" in globalThis ? (globalThis as unknown as EventTarget) : undefined;
