import { createHash } from "node:crypto";
import { ChatError } from "../platform/errors.js";
import { isDuplicate, type Queryable } from "../store/database.js";
import { deleteOldAnswers, findAnswer, type KeptAnswer, keepAnswer } from "../store/idempotencyKeys.js";
import type { RoomDeps } from "./roomDeps.js";

/** One call that makes something. */
export interface KeyedCall {
  readonly callerId: number;
  /** The client's `Idempotency-Key`, or nothing. */
  readonly key: string | undefined;
  /** What is asked for: the name of the call, and its checked input. */
  readonly request: readonly [call: string, ...input: unknown[]];
}

/**
 * Keeps what a call will be answered. It is the last statement of the transaction that makes what the answer
 * tells of.
 */
export type Keep<Answer> = (tx: Queryable, answer: Answer) => Promise<void>;

const hash = (text: string): Buffer => createHash("sha256").update(text).digest().subarray(0, 16);

/**
 * Runs `work` once for a user and a key. For a day the same call with the key gets the first answer again,
 * also when both calls come at the same time or the first answer was lost. A call that fails keeps nothing.
 * Without a key the work just runs. Throws `IDEMPOTENCY_KEY_REUSED` where the key stands for another call.
 */
export async function once<Answer extends object>(
  { callerId, key, request }: KeyedCall,
  work: (keep: Keep<Answer>) => Promise<Answer>,
  { database }: Pick<RoomDeps, "database">,
): Promise<Answer> {
  if (key === undefined) return work(async () => {});
  const [keyHash, requestHash] = [hash(key), hash(JSON.stringify(request))];
  const before = await findAnswer(database, callerId, keyHash);
  if (before) return answerOf(before, requestHash);
  try {
    return await work((tx, answer) =>
      keepAnswer(tx, callerId, keyHash, { requestHash, answer: JSON.stringify(answer) }),
    );
  } catch (error) {
    // Another call with the key was quicker, and the transaction of this call is undone.
    const other = isDuplicate(error) ? await findAnswer(database, callerId, keyHash) : undefined;
    if (!other) throw error;
    return answerOf(other, requestHash);
  }
}

function answerOf<Answer>(kept: KeptAnswer, requestHash: Buffer): Answer {
  if (!kept.requestHash.equals(requestHash))
    throw new ChatError(
      "IDEMPOTENCY_KEY_REUSED",
      "This Idempotency-Key has been used for another request; use a new one.",
    );
  return JSON.parse(kept.answer) as Answer;
}

const ANSWERS_AT_ONCE = 1_000;
const ROUNDS_PER_SWEEP = 10;

/** Deletes answers that are older than a day, ten thousand at most, in small transactions. */
export async function sweepAnswers({ database }: Pick<RoomDeps, "database">): Promise<void> {
  for (let round = 0; round < ROUNDS_PER_SWEEP; round += 1)
    if ((await deleteOldAnswers(database, ANSWERS_AT_ONCE)) < ANSWERS_AT_ONCE) return;
}
