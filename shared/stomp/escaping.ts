import { quote, StompError, type StompVersion } from "./frame.js";

const NUL = 0;
const LF = 10;
const CR = 13;
const COLON = 58;
const BACKSLASH = 92;
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c" };
const UNESCAPES: Readonly<Record<string, string>> = { "\\": "\\", n: "\n", r: "\r", c: ":" };

/**
 * A header name or value as it goes on the wire (STOMP 1.1 and 1.2 "Value Encoding"; 1.0 has no escapes). The
 * result can neither end the header line nor the frame. Throws `StompError` for a character that the version
 * can't carry: NUL in all, CR before 1.2, LF in 1.0.
 */
export function escapeHeader(value: string, version: StompVersion): string {
  return isPlain(value) ? value : escapeCarefully(value, version);
}

/**
 * Whether no version escapes anything in the text. On texts as short as headers a loop beats a regular
 * expression.
 */
function isPlain(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const unit = value.charCodeAt(i);
    if (unit === COLON || unit === BACKSLASH || unit === LF || unit === CR || unit === NUL) return false;
  }
  return true;
}

function escapeCarefully(value: string, version: StompVersion): string {
  if (version === "1.0") {
    // A colon in a value is fine: the first colon of the line separates.
    if (/[\0\n\r]/.test(value)) throw cannotCarry(value, version);
    return value;
  }
  return value.replace(/[\\\n\r:\0]/g, (character) => {
    if (character === "\0" || (character === "\r" && version === "1.1")) throw cannotCarry(value, version);
    return ESCAPES[character]!;
  });
}

function cannotCarry(value: string, version: StompVersion): StompError {
  return new StompError(
    "MALFORMED_FRAME",
    `STOMP ${version} has no way to send the header text ${quote(value)}: remove its control characters.`,
  );
}

/**
 * The inverse of `escapeHeader`. Throws `StompError` for an escape that the version does not define (STOMP
 * 1.2 "Value Encoding": a fatal protocol error).
 */
export function unescapeHeader(value: string, version: StompVersion): string {
  if (version === "1.0" || !value.includes("\\")) return value;
  return value.replace(/\\([\s\S]?)/g, (sequence, letter: string) => {
    const character = letter === "r" && version === "1.1" ? undefined : UNESCAPES[letter];
    if (character !== undefined) return character;
    const known = version === "1.1" ? "\\n, \\c and \\\\" : "\\r, \\n, \\c and \\\\";
    throw new StompError(
      "MALFORMED_FRAME",
      `${quote(sequence)} is no escape of STOMP ${version} headers; these are ${known}.`,
    );
  });
}
