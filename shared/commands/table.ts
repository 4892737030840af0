import { SEND_MESSAGE, SEND_READ, SEND_TOKEN } from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import type { RateKind } from "../redis/ports.js";
import type { Frame } from "../stomp/frame.js";
import type { Command } from "./command.js";
import { connect } from "./connect.js";
import { disconnect } from "./disconnect.js";
import { read } from "./read.js";
import { renewToken } from "./renewToken.js";
import { send } from "./send.js";
import { subscribe } from "./subscribe.js";
import { unsubscribe } from "./unsubscribe.js";

/** What a command of a client leads to. */
interface Entry {
  readonly run: Command;
  /** The limit that each of its frames counts against, also one that is refused afterwards. */
  readonly rate?: RateKind;
  /** Whether it may be a connection's first frame. */
  readonly isFirst?: true;
}

/** By the command, and for SEND by its destination, too. */
const COMMANDS: ReadonlyMap<string, Entry | "unsupported"> = new Map<string, Entry | "unsupported">([
  ["CONNECT", { run: connect, isFirst: true }],
  ["STOMP", { run: connect, isFirst: true }],
  ["SUBSCRIBE", { run: subscribe, rate: "subscribes" }],
  ["UNSUBSCRIBE", { run: unsubscribe, rate: "unsubscribes" }],
  [`SEND ${SEND_MESSAGE}`, { run: send, rate: "messages" }],
  [`SEND ${SEND_READ}`, { run: read, rate: "reads" }],
  [`SEND ${SEND_TOKEN}`, { run: renewToken, rate: "negotiates" }],
  ["DISCONNECT", { run: disconnect }],
  ["ACK", "unsupported"],
  ["NACK", "unsupported"],
  ["BEGIN", "unsupported"],
  ["COMMIT", "unsupported"],
  ["ABORT", "unsupported"],
]);

const keyOf = ({ command, headers }: Frame): string =>
  command === "SEND" ? `SEND ${headers.get("destination") ?? ""}` : command;

const entryOf = (frame: Frame): Entry | "unsupported" | undefined => COMMANDS.get(keyOf(frame));

/** The frame's name where it is one of the table, so that clients can't make up names. */
export function nameOf(frame: Frame): string {
  const key = keyOf(frame);
  if (COMMANDS.has(key)) return key;
  return frame.command === "SEND" ? "SEND" : "unknown command";
}

/** The limit that a frame counts against, if there is one. */
export function rateKindOf(frame: Frame): RateKind | undefined {
  const entry = entryOf(frame);
  return entry === "unsupported" ? undefined : entry?.rate;
}

/**
 * The command of a frame; `isConnected` says whether the connection has had its CONNECTED. Throws
 * `MALFORMED_FRAME`, `NOT_SUPPORTED` or `UNKNOWN_DESTINATION` where there is none.
 */
export function commandOf(frame: Frame, isConnected: boolean): Command {
  const entry = entryOf(frame);
  const isFirst = entry !== "unsupported" && entry?.isFirst === true;
  if (!isConnected && !isFirst)
    throw new ChatError("MALFORMED_FRAME", "The first frame must be CONNECT or STOMP.");
  if (entry === "unsupported")
    throw new ChatError("NOT_SUPPORTED", `${frame.command} is not supported here.`);
  if (frame.headers.get("transaction") !== undefined)
    throw new ChatError("NOT_SUPPORTED", "Transactions are not supported here.");
  if (!entry) throw noCommand(frame);
  return entry.run;
}

function noCommand({ command, headers }: Frame): ChatError {
  if (command !== "SEND") return new ChatError("MALFORMED_FRAME", `There is no client command ${command}.`);
  const destination = headers.get("destination");
  if (!destination) return new ChatError("MALFORMED_FRAME", "SEND needs a destination header.");
  return new ChatError("UNKNOWN_DESTINATION", `Nothing can be sent to ${destination.slice(0, 100)}`);
}
