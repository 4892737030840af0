import fc from "fast-check";

/** Something that a user does while others do something, too: numbers that pick among users and rooms. */
export interface Act {
  readonly does: "burst" | "read" | "invite" | "kick" | "leave" | "openDirect" | "subscribe";
  readonly by: number;
  readonly other: number;
  readonly room: number;
  readonly count: number;
  readonly again: boolean;
}

const act: fc.Arbitrary<Act> = fc.record({
  does: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Act["does"]>("burst") },
    { weight: 6, arbitrary: fc.constant<Act["does"]>("read") },
    {
      weight: 5,
      arbitrary: fc.constantFrom<Act["does"][]>(
        "invite",
        "invite",
        "kick",
        "kick",
        "leave",
        "openDirect",
        "subscribe",
        "subscribe",
      ),
    },
  ),
  by: fc.nat(11),
  other: fc.nat(11),
  room: fc.nat(5),
  count: fc.nat(3),
  again: fc.boolean(),
});

/** Rounds: the acts of one begin at the same time, and the next begins when everybody has finished. */
export const rounds: fc.Arbitrary<readonly (readonly Act[])[]> = fc.array(
  fc.array(act, { minLength: 1, maxLength: 25, size: "max" }),
  { minLength: 1, maxLength: 4, size: "max" },
);
