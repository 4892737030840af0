/** A part of a message's text. */
export type Piece =
  | { readonly kind: "text" | "code" | "block"; readonly text: string }
  | {
      readonly kind: "link";
      readonly text: string;
      readonly href: string;
      /** The host that the link leads to, if the text does not name that host. */
      readonly host: string | undefined;
    };

const PUNCTUATION = ".,;:!?…。、*_~";
/** These characters end an address. Some are not drawn, or change the direction of text. */
const END = "\\s<>\"'`\\u061C\\u200B-\\u200F\\u202A-\\u202E\\u2060-\\u206F\\uFEFF";
const MAIL = "[a-z0-9][\\w.+-]{0,63}@(?:[a-z0-9-]{1,63}\\.){1,8}[a-z]{2,24}";
const ADDRESS = new RegExp(
  `(?<![\\w@.+/-])(?:https?://[^${END}]+|www\\.[^${END}]+|${MAIL}(?![\\w@-]))`,
  "gi",
);
const CODE = /```(?:[\w+#-]*\n)?([\s\S]+?)```|`(?!\s)([^`\n]+)(?<!\s)`/g;

/**
 * Cuts a text into code between backticks, addresses, and the rest. The time is in proportion to the length.
 */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(CODE)) {
    const [, block, code] = match;
    pieces.push(...linksOf(text.slice(at, match.index)));
    if (block === undefined) pieces.push({ kind: "code", text: code! });
    else pieces.push({ kind: "block", text: block.replace(/\n$/, "") });
    at = match.index + match[0].length;
    // The block ends its line: a line break behind it would be an empty line.
    if (block !== undefined && text[at] === "\n") at += 1;
  }
  pieces.push(...linksOf(text.slice(at)));
  return pieces;
}

function linksOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const target = targetOf(address);
    if (!target) continue;
    if (match.index > at) pieces.push({ kind: "text", text: text.slice(at, match.index) });
    pieces.push({ kind: "link", text: address, ...target });
    at = match.index + address.length;
  }
  if (at < text.length) pieces.push({ kind: "text", text: text.slice(at) });
  return pieces;
}

function targetOf(address: string): { href: string; host: string | undefined } | undefined {
  if (/^[^/]*@/.test(address)) return { href: `mailto:${address}`, host: undefined };
  const hasScheme = /^https?:/i.test(address);
  const href = hasScheme ? address : `https://${address}`;
  if (!URL.canParse(href)) return undefined;
  const { host, username, password } = new URL(href);
  // Letters that look like others, or a user name before the host, can make a text seem to name another host.
  const said = address.replace(/^https?:\/\//i, "").split(/[/?#]/)[0]!;
  const isPlain = username === "" && password === "" && said.toLowerCase().replace(/:(80|443)$/, "") === host;
  return { href, host: isPlain ? undefined : host };
}

/** The address without the punctuation at its end. */
function trimmed(address: string): string {
  // A closing bracket belongs to the address if the address has an opening one.
  const ends = address.includes("(") ? PUNCTUATION : `${PUNCTUATION})`;
  let length = address.length;
  while (length > 0 && ends.includes(address[length - 1]!)) length -= 1;
  return address.slice(0, length);
}

/** Whether the text is nothing but one https address. */
export const isAddress = (text: string): boolean => /^https:\/\/\S+$/.test(text) && URL.canParse(text);
