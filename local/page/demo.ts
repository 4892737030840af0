import { z } from "zod";

/** The users that one can choose on the page. */
export const DEMO_USERS = [
  { userId: 1, nickname: "Ann" },
  { userId: 2, nickname: "Ben" },
  { userId: 3, nickname: "Chloe" },
  { userId: 4, nickname: "민준" },
  { userId: 5, nickname: "서연" },
  { userId: 6, nickname: "Dora" },
] as const;

const HOUR_S = 3_600;

/** The body of `POST /demo/token`: the user, and for how many seconds the token is good. */
export const TokenRequest = z.object({
  userId: z.union(
    DEMO_USERS.map(({ userId }) => z.literal(userId)),
    { error: `must be one of the demo users' ids: ${DEMO_USERS.map(({ userId }) => userId).join(", ")}` },
  ),
  seconds: z.int().min(30).max(86_400).default(HOUR_S),
});
