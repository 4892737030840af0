import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { expect, inject, test } from "vitest";
import { afterTest } from "../support/chat.js";
import { call, connect, history, type Json, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { startNetwork } from "../support/network.js";

const FOLDER = "docs/examples";
/** Where `npm start` has the API; of a README's program the tests change it to their own. */
const API = "http://127.0.0.1:7071";

interface Run {
  type(line: string): void;
  readonly out: string;
  readonly errors: string;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
}

/** A program as a user runs it; ended after the test if it runs then. */
function run(program: string, args: readonly string[], token: string, settings: object = {}): Run {
  const { api, webPubSub } = inject("stack");
  const { PATH } = process.env;
  const env = { PATH, TOKEN: token, API: api, CHAT: webPubSub, ...settings };
  const child = spawn(program, args, { env });
  afterTest(() => child.kill());
  const state = {
    type: (line: string) => void child.stdin.write(`${line}\n`),
    out: "",
    errors: "",
    ended: Promise.resolve<number | null>(null),
  };
  child.stdout.on("data", (data) => {
    state.out += data;
  });
  child.stderr.on("data", (data) => {
    state.errors += data;
  });
  state.ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return state;
}

interface Finished {
  readonly out: string;
  readonly errors: string;
  readonly ended: number | null;
}

/** What a program printed until its end, which it comes to by itself. */
async function finished(running: Run): Promise<Finished> {
  const ended = await running.ended;
  return { out: running.out, errors: running.errors, ended };
}

const runNode = (file: string, token: string, settings: object = {}) =>
  run(process.execPath, [file], token, settings);

async function newUser(nickname = "Ann"): Promise<[id: number, token: string]> {
  const [id] = newUsers(1) as [number];
  return [id, await tokenFor(id, { nickname })];
}

const roomsOf = async (user: number): Promise<Json[]> => (await call("GET", "/rooms", user)).body.rooms;

test("stompjs.mjs sends what is typed, shows a refusal, comes back, and not when its session was ended", async () => {
  const [ann, token] = await newUser();
  const network = await startNetwork(inject("stack").webPubSub);
  afterTest(() => network.close());
  const example = runNode(`${FOLDER}/stompjs.mjs`, token, { CHAT: network.url });
  example.type("Hello");
  await until(() => example.out === "Ann: Hello\n", "its first line");
  example.type("  ");
  await until(() => example.errors.includes("refused: INVALID_MESSAGE"), "the refusal");
  const [room] = await roomsOf(ann);
  expect(room).toMatchObject({ type: "ONE_TO_ONE", lastMessage: { content: "Hello" } });
  network.cut();
  await until(() => example.errors.includes("not connected"), "that it was lost");
  const other = await connect(ann, { nickname: "Ann elsewhere" });
  afterTest(() => other.close());
  await other.say(room.roomId, "written meanwhile");
  example.type("typed meanwhile");
  const both = (): boolean => ["written", "typed"].every((word) => example.out.includes(`${word} meanwhile`));
  await until(both, "both lines");
  expect(example.out.trim().split("\n")).toHaveLength(3);
  expect((await call("POST", "/sessions/logout", ann, {})).status).toBe(200);
  expect(await example.ended).toBe(1);
  expect(example.errors).toMatch(/session ended: LOGGED_OUT\nclosed: SESSION_CLOSED .*\n$/);
  expect(network.opened).toBe(2);
});

test("chatClient.mjs prints what came and what became of it, each time it runs", async () => {
  const [ann, token] = await newUser();
  for (const seq of [1, 2]) {
    const { out, errors, ended } = await finished(runNode(`${FOLDER}/chatClient.mjs`, token));
    expect([ended, errors]).toEqual([0, ""]);
    expect(out).toBe(`Ann: Hello\nstored as number ${seq}, not read yet by 1\n`);
  }
  expect(await roomsOf(ann)).toHaveLength(1);
});

test("webPubSubClient.mjs prints what comes until a logout", async () => {
  const [ann, token] = await newUser();
  const example = runNode(`${FOLDER}/webPubSubClient.mjs`, token);
  await until(() => example.out.includes("\n"), "its first line");
  const stock = runNode(`${FOLDER}/stompjs.mjs`, token);
  stock.type("Hello again");
  await until(() => example.out === "Ann: Hello\nAnn: Hello again\n", "the second message");
  expect((await call("POST", "/sessions/logout", ann, {})).status).toBe(200);
  expect(await example.ended).toBe(0);
  expect(example.errors).toMatch(/^closed: SESSION_CLOSED .*\n$/);
});

test("http.sh prints the answers of all its calls", async () => {
  const [ann, token] = await newUser();
  const { out, errors, ended } = await finished(run("sh", [`${FOLDER}/http.sh`], token));
  expect([ended, errors]).toEqual([0, ""]);
  const answers = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { roomId } = answers[1];
  const messages = await history(roomId, ann);
  expect(answers).toEqual([
    { url: expect.stringMatching(/^ws:/), protocol: "v12.stomp", expiresAt: expect.any(String) },
    { roomId: expect.any(Number) },
    { rooms: [expect.objectContaining({ roomId, name: "From the shell" })], cursor: null },
    { roomId, invited: [3] },
    { messages: [expect.objectContaining({ type: "SYSTEM_INVITE", seq: 1, roomId })] },
    { roomId, messageId: messages[0].messageId },
  ]);
});

test.each(["stompjs.mjs", "chatClient.mjs", "webPubSubClient.mjs", "http.sh"])(
  "%s says what is wrong with a token, and ends",
  async (name) => {
    const file = `${FOLDER}/${name}`;
    const program = name.endsWith(".sh") ? "sh" : process.execPath;
    const refused = await finished(run(program, [file], "no.token.atall"));
    expect(refused.ended).not.toBe(0);
    expect(refused.errors + refused.out).toMatch(/UNAUTHORIZED/);
    const missing = await finished(run(program, [file], ""));
    expect(missing.ended).not.toBe(0);
    expect(missing.errors).toContain("oken");
  },
);

/** The text of an example: its file, or the one program in its folder. */
function programOf(path: string): string {
  if (statSync(path).isFile()) return readFileSync(path, "utf8");
  const files = readdirSync(path, { recursive: true, encoding: "utf8" });
  const program = files.find((file) => /^[^.][^.]*\.(java|kt|py|go|dart)$/.test(file));
  return readFileSync(`${path}/${program}`, "utf8");
}

test("the examples' README has a command for each, and they reach npm start without settings", () => {
  const readme = readFileSync(`${FOLDER}/README.md`, "utf8");
  const examples = readdirSync(FOLDER).filter((name) => name !== "README.md");
  expect(examples).toHaveLength(9);
  for (const name of examples) {
    expect(readme).toMatch(new RegExp(`^TOKEN=.* ${FOLDER}/${name}\\b`, "m"));
    expect(programOf(`${FOLDER}/${name}`)).toContain(API);
  }
});

/** The programs of the client's README, each under the name in the comment before it. */
const programs = new Map(
  [...readFileSync("client/README.md", "utf8").matchAll(/(?:<!-- (.*) -->\n)?```js\n([\s\S]*?)```/g)].map(
    ([, name = "without a name", text = ""]) => [name, text],
  ),
);

async function runOfReadme(name: string, token: string, ...args: string[]): Promise<Finished> {
  // Beside package.json, because it imports the packages by name.
  const file = `readme-${process.pid}-${name.replace(".mjs", ".local.mjs")}`;
  const text = programs.get(name) ?? "";
  expect(text).toContain(API);
  writeFileSync(file, text.replaceAll(API, inject("stack").api));
  try {
    return await finished(run(process.execPath, [file, ...args], token));
  } finally {
    rmSync(file);
  }
}

test("all programs of the client's README are run here, and each says in which file it goes and how it is run", () => {
  expect([...programs.keys()]).toEqual(["chat.mjs", "refused.mjs", "sdk.mjs"]);
  const readme = readFileSync("client/README.md", "utf8");
  for (const [name, text] of programs) {
    const [before, behind] = readme.split(text) as [string, string];
    expect(before).toMatch(new RegExp(`^\`${name}\` .*\\n\\n<!-- ${name} -->\\n\`\`\`js\\n$`, "m"));
    expect(behind).toMatch(new RegExp(`^\`\`\`\\n\\n\`\`\`sh\\nTOKEN=\\S+.* node ${name}( 1)?\\n\`\`\`\\n`));
  }
});

test("chat.mjs shows a message from its sending to its storing", async () => {
  const [, token] = await newUser();
  const { out, errors, ended } = await runOfReadme("chat.mjs", token);
  expect([ended, errors]).toEqual([0, ""]);
  const lines = out.trim().split("\n");
  expect(lines.slice(0, 2)).toEqual(["connecting", "connected"]);
  expect(lines).toContain("[ 'Hello (sending)' ]");
  expect(lines.slice(-2)).toEqual(["[ 'Hello (stored)' ]", "idle"]);
});

test("refused.mjs shows a refusal, that what follows is sent, and that what was refused can be changed", async () => {
  const [ann, token] = await newUser();
  const { out, errors, ended } = await runOfReadme("refused.mjs", token);
  expect([ended, errors]).toEqual([0, ""]);
  expect(out).toMatch(/^refused: INVALID_MESSAGE\nINVALID_MESSAGE: .+\nstored: said properly\ntrue\n$/);
  const [{ roomId }] = await roomsOf(ann);
  const stored = (await history(roomId, ann)).map(({ content }) => content);
  expect(stored).toEqual(["what follows is sent", "said properly"]);
});

test("sdk.mjs has its message accepted in a room, and refused elsewhere", async () => {
  const [ann, token] = await newUser();
  const [mine, other] = [await makeRoom([ann]), await makeRoom(newUsers(1))];
  const accepted = await runOfReadme("sdk.mjs", token, String(mine));
  expect(accepted).toEqual({ out: "accepted\n", errors: "", ended: 0 });
  const refused = await runOfReadme("sdk.mjs", token, String(other));
  expect(refused).toEqual({ out: "refused: NOT_A_MEMBER\n", errors: "", ended: 0 });
});
