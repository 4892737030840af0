import type { Connection } from "../connections/connection.js";
import type { ConnectionState, Unfinished } from "../connections/connectionState.js";
import { ChatError } from "../platform/errors.js";
import { type Frame, StompError } from "../stomp/frame.js";
import type { Beginning } from "../stomp/parser.js";
import { DEFAULT_LIMITS, type Limits } from "../stomp/reader.js";
import type { CommandDeps } from "./command.js";
import { parse } from "./parse.js";

/**
 * Frames that come in several WebSocket messages, as some libraries send large ones. What has come of a frame
 * waits in Redis, where the next function instance finds it; the connection's state says how much there is. A
 * client that sends its frames whole costs nothing by it.
 */

/** A message may hold as many whole frames as any, and the end of one before. */
const WITH_ITS_END: Limits = {
  ...DEFAULT_LIMITS,
  framesPerMessage: DEFAULT_LIMITS.framesPerMessage + 1,
};
/** The pieces of a frame come within this time. */
const PIECES_MS = 30_000;

const NUL = 0;
const LF = 10;
const CR = 13;
const BRACE = 125;
/** White space of JSON: a body may end with it. */
const BLANKS: ReadonlySet<number> = new Set([9, LF, CR, 32]);

/** What the messages up to this one hold. */
export interface Gathered {
  readonly frames: readonly Frame[];
  /** Why nothing can follow the frames. */
  readonly malformed?: ChatError;
  /** Waits for its rest. */
  readonly beginning?: Beginning;
  /** The first frame stood behind one that could not be taken, and is not taken either. */
  readonly skipFirst: boolean;
  readonly state: ConnectionState;
}

type Deps = Pick<CommandDeps, "pieces" | "now">;

/** Reads one WebSocket message together with what was left over from those before it. Never throws. */
export async function gather(data: Uint8Array, connection: Connection, deps: Deps): Promise<Gathered> {
  const { unfinished, nulIsMissing, ...rest } = connection.state;
  if (unfinished) return gatherRest(data, unfinished, connection, deps);
  // The usual case: the same state says to all behind that nothing has changed.
  const state = nulIsMissing ? rest : connection.state;
  return { skipFirst: false, ...read(data, state, nulIsMissing === true) };
}

/** Reads a message that goes on with an unfinished frame. */
async function gatherRest(
  data: Uint8Array,
  unfinished: Unfinished,
  connection: Connection,
  deps: Deps,
): Promise<Gathered> {
  const { unfinished: _, nulIsMissing, ...state } = connection.state;
  const { skipped: skipFirst, since } = unfinished;
  const failed = (error: ChatError): Gathered => ({ frames: [], malformed: error, skipFirst, state });
  if (deps.now() - since > PIECES_MS) return failed(tooLate());
  const size = unfinished.bytes + data.length;
  const waits = { frames: [], beginning: { ...unfinished, bytes: data }, skipFirst, state: connection.state };
  if (size < unfinished.least || !canEnd(data)) return size > unfinished.most ? failed(tooLarge()) : waits;
  const name = nameOf(connection, since);
  const before = await deps.pieces.readPieces(connection.userId, name, unfinished.bytes);
  if (!before) return failed(lost());
  const now = read(Buffer.concat([before, data]), state, nulIsMissing === true, WITH_ITS_END);
  // The whole of it is a beginning still: only this piece of it is new.
  if (now.beginning?.bytes.length === size)
    return { ...now, beginning: { ...now.beginning, bytes: data }, skipFirst, state: connection.state };
  return { skipFirst, ...now };
}

/** Reads bytes that begin with a frame, or with the NUL of the last frame, which was taken without it. */
function read(
  data: Uint8Array,
  state: ConnectionState,
  lacksNul: boolean,
  limits = DEFAULT_LIMITS,
): Omit<Gathered, "skipFirst"> {
  const nul = lacksNul ? data.findIndex((byte) => !BLANKS.has(byte)) : -1;
  const isLate = nul >= 0 && data[nul] === NUL;
  const { nulIsMissing, ...parsed } = parse(isLate ? data.subarray(nul + 1) : data, state, limits);
  const stillLacks = lacksNul && !isLate && parsed.frames.length === 0 && !parsed.malformed;
  return { state: nulIsMissing || stillLacks ? { ...state, nulIsMissing: true } : state, ...parsed };
}

/**
 * The name under which a frame's pieces are kept, another one for every frame. The service may repeat the
 * message with which one frame ended and the next one began: then what was kept of the first frame is still
 * there.
 */
const nameOf = ({ connectionId }: Pick<Connection, "connectionId">, since: number): string =>
  `${connectionId}:${since}`;

/**
 * Whether a frame may end with this piece of it: with a NUL, or, where NULs are lost on the way, as a head or
 * a JSON object does.
 */
function canEnd(piece: Uint8Array): boolean {
  const last = piece.at(-1);
  return last === LF || last === BRACE || piece.includes(NUL);
}

const tooLate = (): ChatError =>
  new StompError(
    "MALFORMED_FRAME",
    `A frame did not come to its end within ${PIECES_MS / 1_000} s: its NUL, or the rest of it, is missing.`,
  );

const tooLarge = (): ChatError =>
  new StompError("MESSAGE_TOO_LARGE", "The frame has become larger than a frame may be.");

const lost = (): ChatError =>
  new ChatError(
    "UNAVAILABLE",
    "The pieces of a frame can't be put together right now; send it again, whole if you can.",
  );

/**
 * Keeps what has come of a frame, and returns the state that says so. `skipped`: the frame stood behind one
 * that was not taken. Throws `UNAVAILABLE` where it can't be kept.
 */
export async function keep(
  { bytes, least, most }: Beginning,
  connection: Connection,
  skipped: boolean,
  { pieces, now }: Deps,
): Promise<ConnectionState> {
  const { userId, state } = connection;
  const { unfinished } = state;
  const offset = unfinished?.bytes ?? 0;
  const since = unfinished?.since ?? now();
  if (!(await pieces.keepPiece(userId, nameOf(connection, since), offset, bytes))) throw lost();
  const next: Unfinished = {
    since,
    bytes: offset + bytes.length,
    least,
    most,
    skipped: skipped || (unfinished?.skipped ?? false),
  };
  return { ...state, unfinished: next };
}
