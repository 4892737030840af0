/**
 * The longest wait for what must come. Only what hangs takes so long: no test is about how fast the machine
 * is.
 */
export const PATIENCE_MS = 300_000;
