export interface Piece {
  readonly text: string;
  /** Where it leads, if it is an address. */
  readonly href?: string;
}

const PUNCTUATION = ".,;:!?…。、";
const ADDRESS = /https:\/\/[^\s<>"']+/g;

/** The text in pieces, with https addresses as links; punctuation behind one is not part of it. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    if (!URL.canParse(address)) continue;
    if (match.index > at) pieces.push({ text: text.slice(at, match.index) });
    pieces.push({ text: address, href: address });
    at = match.index + address.length;
  }
  if (at < text.length || pieces.length === 0) pieces.push({ text: text.slice(at) });
  return pieces;
}

/** From the end and no further than needed: whatever someone writes, it takes no longer than to read it. */
function trimmed(address: string): string {
  // A closing bracket belongs to it only if it was opened in it.
  const ends = address.includes("(") ? PUNCTUATION : `${PUNCTUATION})`;
  let length = address.length;
  while (length > 0 && ends.includes(address[length - 1]!)) length -= 1;
  return address.slice(0, length);
}

/** Whether the text is nothing but one https address. */
export const isAddress = (text: string): boolean => /^https:\/\/\S+$/.test(text) && URL.canParse(text);
