import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database, Queryable } from "../../shared/store/database.js";
import { findUsers, rememberUser } from "../../shared/store/users.js";
import { newDatabase } from "../support/database.js";

let database: Database;
let closeDatabase: () => Promise<void>;
/** The statements that change something. */
let writes: string[] = [];
const watched: Queryable = {
  query: (sql, values) => {
    if (!sql.startsWith("SELECT")) writes.push(sql);
    return database.query(sql, values);
  },
};

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

test("the latest token's name and picture stay, and the same ones are not written again", async () => {
  const picture = "https://example.org/ann.png";
  const steps = [
    [{ nickname: "Ann", picture }, { nickname: "Ann", profileImageUrl: picture }, 1],
    [{ nickname: "Ann", picture }, { nickname: "Ann", profileImageUrl: picture }, 0],
    // A name is kept where the token has none; a picture is not.
    [{ picture }, { nickname: "Ann", profileImageUrl: picture }, 0],
    [{ nickname: "ann", picture }, { nickname: "ann", profileImageUrl: picture }, 1],
    [{ nickname: "ann" }, { nickname: "ann", profileImageUrl: null }, 1],
    [{}, { nickname: "ann", profileImageUrl: null }, 0],
    [{ nickname: "Änn 😀 " }, { nickname: "Änn 😀 ", profileImageUrl: null }, 1],
    [{ nickname: "Änn 😀 " }, { nickname: "Änn 😀 ", profileImageUrl: null }, 0],
  ] as const;
  for (const [said, user, written] of steps) {
    writes = [];
    await rememberUser(watched, { userId: 7, ...said });
    expect((await findUsers(database, [7])).get(7)).toEqual(user);
    expect(writes).toHaveLength(written);
  }
});

test("a user of whom a token says nothing is noted", async () => {
  await rememberUser(database, { userId: 8 });
  expect((await findUsers(database, [8])).get(8)).toEqual({ nickname: null, profileImageUrl: null });
});
