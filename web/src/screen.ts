/**
 * A screen that shows one side at a time, the list or the room. The same width is in the style sheets. An em
 * is the size of text that the user has set.
 */
export const NARROW = "(max-width: 44.9375em)";

/**
 * Whether the device has a keyboard of its own, as far as the browser knows. A phone's keyboard would cover
 * the messages that the user has come to read.
 */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover) and (min-width: 45em)").matches;
