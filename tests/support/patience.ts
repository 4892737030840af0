/** So long is waited for what must come, and only what hangs takes so long: no test is about how fast the machine is. */
export const PATIENCE_MS = 300_000;
