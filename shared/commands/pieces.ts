import type { ConnectionState, Unfinished } from "../connections/connectionState.js";
import { ChatError } from "../platform/errors.js";
import { type Frame, StompError, type StompVersion } from "../stomp/frame.js";
import { type Beginning, type ParsedMessage, parseMessage } from "../stomp/parser.js";
import { DEFAULT_LIMITS, type Limits } from "../stomp/reader.js";
import type { CommandDeps, Connection } from "./command.js";
import { negotiateVersion } from "./connect.js";

/**
 * Frames that come in several WebSocket messages, as some libraries send large ones. What has come of a frame waits in the session store, where the next function
 * instance finds it; the connection's state says how much there is. A client that sends its frames whole costs nothing by it.
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
  // The usual case: the same state says to all behind that nothing has changed.
  if (!connection.state.unfinished && !connection.state.nulIsMissing)
    return { ...read(data, connection.state, false), skipFirst: false };
  const { unfinished, nulIsMissing, ...state } = connection.state;
  const lacksNul = nulIsMissing === true;
  if (!unfinished) return { ...read(data, state, lacksNul), skipFirst: false };
  const skipFirst = unfinished.skipped;
  const failed = (error: ChatError): Gathered => ({ frames: [], malformed: error, skipFirst, state });
  if (deps.now() - unfinished.since > PIECES_MS)
    return failed(
      new StompError(
        "MALFORMED_FRAME",
        `A frame did not come to its end within ${PIECES_MS / 1_000} s: its NUL, or the rest of it, is missing.`,
      ),
    );
  const size = unfinished.bytes + data.length;
  if (size < unfinished.least || !canEnd(data)) {
    if (size > unfinished.most)
      return failed(new StompError("MESSAGE_TOO_LARGE", "The frame has become larger than a frame may be."));
    return { frames: [], beginning: { ...unfinished, bytes: data }, skipFirst, state: connection.state };
  }
  const name = nameOf(connection, unfinished.since);
  const before = await deps.pieces.readPieces(connection.userId, name, unfinished.bytes);
  if (!before) return failed(lost());
  const now = read(Buffer.concat([before, data]), state, lacksNul, WITH_ITS_END);
  const goesOn = now.beginning?.bytes.length === size;
  if (!now.beginning || !goesOn) return { ...now, skipFirst };
  return { ...now, beginning: { ...now.beginning, bytes: data }, skipFirst, state: connection.state };
}

/** Reads bytes that begin with a frame, or with the NUL of the last one, which was taken without it. */
function read(
  data: Uint8Array,
  state: ConnectionState,
  lacksNul: boolean,
  limits = DEFAULT_LIMITS,
): Omit<Gathered, "skipFirst"> {
  const nul = lacksNul ? data.findIndex((byte) => !BLANKS.has(byte)) : -1;
  const isLate = nul >= 0 && data[nul] === NUL;
  const now = parsed(isLate ? data.subarray(nul + 1) : data, state, limits);
  const stillLacks = lacksNul && !isLate && now.frames.length === 0 && !now.malformed;
  return stillLacks ? { ...now, state: { ...now.state, nulIsMissing: true } } : now;
}

/**
 * Under what name a frame's pieces are kept. Of another frame it is another one: when the service repeats the message with which one frame ended and the next one began,
 * what was kept of the first one is still there.
 */
const nameOf = ({ connectionId }: Pick<Connection, "connectionId">, since: number): string =>
  `${connectionId}:${since}`;

/** Whether a frame may end with this piece of it: with a NUL, or, where NULs are lost on the way, as a head or a JSON object does. */
function canEnd(piece: Uint8Array): boolean {
  const last = piece.at(-1);
  return last === LF || last === BRACE || piece.includes(NUL);
}

const lost = (): ChatError =>
  new ChatError(
    "UNAVAILABLE",
    "The pieces of a frame can't be put together right now; send it again, whole if you can.",
  );

/**
 * Keeps what has come of a frame, and returns the state that says so. `skipped`: it stood behind a frame that was not taken. Throws `UNAVAILABLE` where it can't be kept.
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

/**
 * The frames of a message up to the first malformed one. Before CONNECTED the version is not known yet: it is the one
 * that the CONNECT in front will agree on.
 */
function parsed(data: Uint8Array, state: ConnectionState, limits: Limits): Omit<Gathered, "skipFirst"> {
  const assumed = state.version ?? "1.2";
  const first = tryParse(data, assumed, limits);
  const connectFrame = state.version === undefined ? first.frames[0] : undefined;
  const isConnect = connectFrame?.command === "CONNECT" || connectFrame?.command === "STOMP";
  const agreed = isConnect ? negotiateVersion(connectFrame.headers.get("accept-version")) : undefined;
  const { nulIsMissing, ...message } =
    agreed === undefined || agreed === assumed ? first : tryParse(data, agreed, limits);
  return { ...message, state: nulIsMissing ? { ...state, nulIsMissing: true } : state };
}

function tryParse(
  data: Uint8Array,
  version: StompVersion,
  limits: Limits,
): ParsedMessage & { malformed?: StompError } {
  try {
    return parseMessage(data, version, limits);
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    return { frames: error.framesBefore, malformed: error, nulIsMissing: false };
  }
}
