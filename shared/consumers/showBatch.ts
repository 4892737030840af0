import { setTimeout as pause } from "node:timers/promises";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import {
  BROADCAST_LEASE_MS,
  endBroadcast,
  leaseBroadcast,
  moveBroadcast,
  type Stream,
  type StreamPosition,
} from "../store/streamPositions.js";
import { inTransaction } from "../store/transaction.js";
import { instanceOf, requireTime } from "./deps.js";
import type { BatchHandler, Progress, Try } from "./handler.js";
import { processing, step } from "./observed.js";
import { readAgain } from "./readAgain.js";
import { real } from "./storeBatch.js";
import { goOn, HandOver, type UnderWay } from "./underWay.js";

/** One that waits for its turn looks this often. */
const LOOK_MS = 100;
const RENEWED_MS = BROADCAST_LEASE_MS / 3;

type Done<Result> = Exclude<Progress<Result>, { readonly kind: "behind" | "goneBack" }>;
type Again = Extract<BatchHandler<unknown>["shown"], { readonly kind: "byPosition" }>["again"];

/**
 * Whether a batch may be shown beside the one before it: it was stored right behind that, and has its lease. All up to
 * `before` is shown or being shown then.
 */
export const goesOn = <Result>(progress: Progress<Result>, before: UnderWay): boolean =>
  progress.kind === "stored" && progress.isBroadcaster && progress.position.stored === before.last;

/**
 * Shows what was just stored. Events that an earlier failure left stored but not shown come first. Of a stream that
 * is shown in the order of its events one instance shows at a time: it waits for another one that does, and leaves
 * out what that one has shown. Throws `UNAVAILABLE` where that takes too long.
 *
 * `before` is the batch right before it, where that is still being shown (`goesOn`). One that takes long is itself
 * left behind, once that has ended.
 */
export async function showBatch<Result>(
  stream: Stream,
  progress: Done<Result>,
  deps: Try<Result>,
  before?: UnderWay,
): Promise<void> {
  const { handler } = deps;
  const show = async (): Promise<void> => {
    if (progress.kind !== "stored") return;
    const { last, position, result, refused } = progress;
    await step("broadcast", stream, last - position.stored, () =>
      handler.show(stream, result, refused, before),
    );
  };
  if (handler.shown.kind === "byOutbox") return show();
  const { again, keysOf, isLong } = handler.shown;
  const last = progress.kind === "stored" ? progress.last : progress.position.stored;
  const position = before ? { ...progress.position, broadcast: before.last } : progress.position;
  if (progress.kind !== "stored" && position.broadcast >= last) return;
  const isTurn = progress.kind === "stored" && progress.isBroadcaster;
  const handOver = new HandOver();
  const showAll = async (): Promise<void> => {
    const now = isTurn ? position : await turn(stream, last, deps);
    await whileLeased(stream, handOver, deps, async (requireLease) => {
      if (now.broadcast < last) {
        // The log may have gone back meanwhile.
        const stored = Math.min(position.stored, now.stored);
        await showAgain(stream, { ...now, stored }, again, requireLease, deps);
        requireLease();
        await show();
      }
      await before?.done;
      handOver.isEnding = !handOver.hasNext;
      await moveBroadcast(deps.database, stream, last, handOver.isEnding ? instanceOf(deps) : undefined);
    });
  };
  const done = showAll();
  // Whoever goes on behind it knows of its own destinations only, so nothing older may still have to be shown.
  const isCurrent = isTurn && position.broadcast >= position.stored;
  const isLeft = deps.showsBehind && isCurrent && isLong(progress.result);
  if (!isLeft || !(await hasEndedWell(before, done))) return done;
  goOn({ stream, last, keys: keysOf(progress.result), done, handOver }, deps);
  done.catch((error: unknown) => {
    log.warn("a batch that is stored could not be shown, and is shown again", { ...stream, last, error });
    deps.showLater();
  });
}

/** Whether there is nothing before it, or nothing any more. Where that failed so does `done`. */
async function hasEndedWell(before: UnderWay | undefined, done: Promise<void>): Promise<boolean> {
  done.catch(() => {});
  if (!before) return true;
  return before.done.then(
    () => true,
    () => false,
  );
}

/**
 * Waits until this instance may show the stream, or there is no need to wait: all up to `last` is shown, or the log
 * went back. Returns where the stream stands then.
 */
async function turn<Result>(stream: Stream, last: number, deps: Try<Result>): Promise<StreamPosition> {
  for (;;) {
    const position = await lease(stream, deps);
    // It can't be missing, as something of the stream is stored.
    const isOver = position && (position.broadcast >= last || position.stored < last);
    if (position && (isOver || position.broadcaster === instanceOf(deps))) return position;
    requireTime(deps);
    await pause(LOOK_MS);
  }
}

const lease = <Result>(stream: Stream, deps: Try<Result>): Promise<StreamPosition | undefined> =>
  inTransaction(deps.database, (tx) => leaseBroadcast(tx, stream, instanceOf(deps)));

/**
 * Keeps the lease while `work` is under way, which ends it, or leaves it to the next batch. Where it does neither, the
 * lease ends here.
 */
async function whileLeased<Result>(
  stream: Stream,
  handOver: HandOver,
  deps: Try<Result>,
  work: (requireLease: () => void) => Promise<void>,
): Promise<void> {
  let isLost = false;
  let renewal: Promise<void> | undefined;
  const renew = async (): Promise<void> => {
    // Where the database is away, what comes next says so.
    const position = await lease(stream, deps).catch(() => undefined);
    isLost ||= position !== undefined && position.broadcaster !== instanceOf(deps);
    renewal = undefined;
  };
  const renewing = setInterval(() => {
    renewal ??= renew();
  }, RENEWED_MS);
  let isDone = false;
  try {
    await work(() => {
      if (isLost) throw new ChatError("UNAVAILABLE", "Another instance shows this stream now.");
    });
    isDone = true;
  } finally {
    clearInterval(renewing);
    handOver.isEnding ||= !handOver.hasNext;
    // A renewal that comes behind the end takes the lease once more.
    const isOpen = handOver.isEnding && (!isDone || renewal !== undefined);
    await renewal;
    if (isOpen) await endBroadcast(deps.database, stream, instanceOf(deps)).catch(() => {});
  }
}

/** Shows again what is stored and not shown. */
async function showAgain<Result>(
  stream: Stream,
  position: StreamPosition,
  again: Again,
  requireLease: () => void,
  deps: Try<Result>,
): Promise<void> {
  const [from, to] = [position.broadcast + 1, position.stored];
  if (from > to) return;
  log.warn("stored events are broadcast again", { ...stream, from, to });
  for (let next = from; next <= to; ) {
    requireTime(deps);
    requireLease();
    const { events, first } = await readAgain(stream, next, to, deps);
    const shownBefore = real(events);
    count.replayed(stream.hub, "shown", shownBefore.length);
    if (shownBefore.length > 0)
      await processing(deps.bus.system, { ...stream, events }, () => again(stream, shownBefore, position));
    next = (events.at(-1)?.sequenceNumber ?? first - 1) + 1;
    await moveBroadcast(deps.database, stream, next - 1);
  }
}
