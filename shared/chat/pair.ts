/**
 * The key of the one-to-one room of two users: `smaller:larger` user id, so both of them find the same room.
 */
export const pairKeyOf = (one: number, other: number): string =>
  one < other ? `${one}:${other}` : `${other}:${one}`;

/** The other one of a pair. Nothing for a group, which has no key. */
export function otherOfPair(pairKey: string | null, userId: number): number | undefined {
  return pairKey
    ?.split(":")
    .map(Number)
    .find((each) => each !== userId);
}
