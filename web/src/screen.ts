/** Where only one side is shown: as the style sheet has it, in terms of the size of text that the user has set. */
export const NARROW = "(max-width: 44.9375em)";

/** A phone's keyboard would cover the messages that one has come to read. */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover) and (min-width: 45em)").matches;
