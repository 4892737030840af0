import { isUtf8 } from "node:buffer";
import { MESSAGES_HUB } from "../events/messages.js";
import { columns, visible } from "../platform/program.js";
import { roomOf } from "./choose.js";
import { type Letter, markOf } from "./letters.js";

const TEXT_CHARACTERS = 60;

const HEAD = ["hub", "number", "when", "key", "code", "state", "text"] as const;

/** The letters as a table, in the order in which they come. */
export const tableOf = (letters: readonly Letter[]): string => columns([HEAD, ...letters.map(cellsOf)]);

const cellsOf = (letter: Letter): readonly string[] => [
  letter.hub,
  String(letter.number),
  letter.when?.toISOString() ?? "",
  letter.key === "" ? "none" : `${letter.from.hub === MESSAGES_HUB ? "room" : "user"} ${visible(letter.key)}`,
  letter.error.code,
  letter.note ?? (letter.replayOf === undefined ? "waits" : "came back"),
  visible(letter.text).slice(0, TEXT_CHARACTERS),
];

/** What `--json` tells of a letter. */
export const factsOf = (letter: Letter): object => ({
  hub: letter.hub,
  number: letter.number,
  when: letter.when?.toISOString(),
  key: letter.key,
  roomId: roomOf(letter),
  from: letter.from,
  error: letter.error,
  state: letter.note ?? "waits",
  replayOf: letter.replayOf,
  bytes: letter.bytes,
  isCut: letter.isCut,
  text: letter.text,
});

/** The content for a program: as text where it is UTF-8, or else in base64. */
export const bodyOf = (content: Buffer): object =>
  isUtf8(content) ? { body: content.toString() } : { bodyBase64: content.toString("base64") };

/** One letter for a person, with all of its content. */
export function pageOf(letter: Letter, content: Buffer): string {
  const { from } = letter;
  const facts: readonly (readonly [string, string])[] = [
    ["letter", markOf(letter)],
    ["when", letter.when?.toISOString() ?? "not told"],
    ["event", `${from.hub}/${from.partitionId}/${from.sequenceNumber}`],
    ["key", letter.key === "" ? "none" : visible(letter.key)],
    ["error", `${letter.error.code}: ${visible(letter.error.message)}`],
    ["state", letter.note ?? "waits"],
    ...(letter.replayOf === undefined ? [] : ([["replay of", letter.replayOf]] as const)),
    ["bytes", `${content.length}${letter.isCut ? ", cut by an older version of the app" : ""}`],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(10)}${value}`);
  return [...lines, "", ...(isUtf8(content) ? [shown(content.toString())] : dumpOf(content))].join("\n");
}

/** Text as it is, but for characters that a terminal would obey. `--json` has them all. */
const shown = (text: string): string =>
  text.replace(/[^\P{C}\n\t]/gu, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`);

const ROW = 16;

/** Bytes that are no text: place, hexadecimal, and ASCII where there is any. */
function dumpOf(content: Buffer): readonly string[] {
  return Array.from({ length: Math.ceil(content.length / ROW) }, (_, row) => {
    const bytes = content.subarray(row * ROW, (row + 1) * ROW);
    const hex = bytes.toString("hex").replace(/..(?=.)/g, "$& ");
    const ascii = bytes.toString("latin1").replace(/[^ -~]/g, ".");
    return `${(row * ROW).toString(16).padStart(8, "0")}  ${hex.padEnd(ROW * 3)} ${ascii}`;
  });
}
