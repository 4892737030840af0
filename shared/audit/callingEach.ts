import { inParallel } from "../platform/async.js";

/** The socket service takes far more, and the app needs it meanwhile. */
const CALLS_AT_ONCE = 8;

/** The answers to one call of the socket service for each. */
export async function callingEach<T, Answer>(
  items: readonly T[],
  call: (item: T) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  await inParallel(CALLS_AT_ONCE, [...items.entries()], async ([index, item]) => {
    answers[index] = await call(item);
  });
  return answers;
}
