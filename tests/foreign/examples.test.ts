import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { type Connected, call, connect, newUsers, tokenFor } from "../support/client.js";
import { type Network, startNetwork } from "../support/network.js";
import { commandsOf, examplesCopy, missing, type Program, startProgram } from "./program.js";
import { type Step, tellTogether } from "./together.js";

const MINUTE = 60_000;
/** Whom the examples talk with. */
const BEN = 2;

interface Example {
  readonly name: string;
  readonly file: string;
  readonly needs: readonly string[];
  /** Whether it can ask for a RECEIPT of a message. */
  readonly receipts: boolean;
  /** How long it may take to notice a silent network. */
  readonly noticesMs: number;
}

const EXAMPLES: readonly Example[] = [
  { name: "@stomp/stompjs", file: "stompjs.mjs", needs: ["node"], receipts: true, noticesMs: 3 * MINUTE },
  { name: "Spring", file: "java", needs: ["java", "mvn"], receipts: true, noticesMs: 4.5 * MINUTE },
  { name: "Krossbow", file: "kotlin", needs: ["java", "mvn"], receipts: true, noticesMs: 1.5 * MINUTE },
  { name: "stomp.py", file: "python", needs: ["python3"], receipts: true, noticesMs: 3 * MINUTE },
  { name: "go-stomp", file: "go", needs: ["go"], receipts: false, noticesMs: 1.5 * MINUTE },
];

let ben: Connected;
const endings: (() => unknown)[] = [];
beforeAll(async () => {
  ben = await connect(BEN, { nickname: "Ben" });
});
afterAll(async () => {
  for (const end of endings) await end();
  await ben.close();
});

tellTogether(
  EXAMPLES.map((example) => {
    const absent = missing(example.needs).join(" and ");
    const skipped = absent === "" ? undefined : `skipped: ${absent} is not on this machine`;
    return { name: example.name, skipped, steps: steps(example) };
  }),
  20 * MINUTE,
);

/** One run of an example, from its start to its end. */
function steps({ file, receipts, noticesMs }: Example): Step[] {
  const [ann] = newUsers(1) as [number];
  let network: Network;
  let program: Program;
  let roomId: number;
  /** What Ben says; the receipts are waited for together, so that the messages come quickly. */
  const benSays = (...texts: string[]) => Promise.all(texts.map((text) => ben.say(roomId, text)));

  return [
    {
      name: "is started as the README says, and connects",
      async run() {
        network = await startNetwork(inject("stack").webPubSub);
        endings.push(() => network.close());
        const isHere = file.endsWith(".mjs"); // has its packages in this folder
        const { folder, env } = isHere ? { folder: process.cwd(), env: process.env } : examplesCopy(file);
        const { prepare, start } = commandsOf(file);
        for (const command of prepare) {
          const preparing = startProgram(command, folder, env);
          const code = await preparing.ended;
          if (code !== 0) throw new Error(`${command}: ${preparing.said}`);
        }
        const TOKEN = await tokenFor(ann, { nickname: "Ann" });
        program = startProgram(start, folder, { ...env, TOKEN, API: inject("stack").api, CHAT: network.url });
        endings.push(() => program.stop());
        // The first time it loads its packages.
        await program.says("connected", 1, 5 * MINUTE);
        roomId = (await call("POST", "/rooms", ann, { targetUserId: BEN })).body.roomId;
      },
    },
    {
      name: "sends what is typed, and says that it was accepted",
      async run() {
        program.type("Hello");
        await program.sees("Ann: Hello");
        if (receipts) await program.says("accepted");
      },
    },
    {
      name: "of twenty quick messages prints twenty in order",
      async run() {
        const texts = Array.from({ length: 20 }, (_, i) => `message ${i + 1}`);
        await benSays(...texts);
        await program.sees("Ben: message 20");
        expect(program.lines.slice(-20)).toEqual(texts.map((text) => `Ben: ${text}`));
      },
    },
    {
      name: "sends twenty quick lines in order",
      async run() {
        const lines = Array.from({ length: 20 }, (_, i) => `line ${i + 1}`);
        for (const line of lines) program.type(line);
        await program.sees("Ann: line 20");
        expect(program.lines.slice(-20)).toEqual(lines.map((line) => `Ann: ${line}`));
      },
    },
    {
      name: "sends and prints the longest messages",
      async run() {
        const text = "👋".repeat(5_000);
        program.type(text);
        await program.sees(`Ann: ${text}`);
        await benSays(`${text.slice(2)}!`);
        await program.sees(`Ben: ${text.slice(2)}!`);
      },
    },
    {
      name: "shows a refusal, and goes on",
      async run() {
        program.type("   ");
        await program.says("refused: INVALID_MESSAGE");
        program.type("after the refusal");
        await program.sees("Ann: after the refusal");
        expect(network.opened).toBe(1);
      },
    },
    {
      name: "comes back after a lost connection, missing and repeating nothing",
      async run() {
        const connected = program.count("connected");
        network.cut();
        await program.says("not connected");
        program.type("typed meanwhile");
        await benSays("written meanwhile");
        await program.says("connected", connected + 1);
        await program.sees("Ben: written meanwhile");
        await program.sees("Ann: typed meanwhile");
        expect(new Set(program.lines).size).toBe(program.lines.length);
      },
    },
    {
      name: "keeps its connection for 70 idle seconds",
      async run() {
        const before = network.opened;
        await sleep(70_000);
        await benSays("after a while");
        await program.sees("Ben: after a while");
        expect(network.opened).toBe(before);
      },
    },
    {
      name: "notices by the heart-beats that the network is dead",
      async run() {
        const before = network.opened;
        network.silence();
        await benSays("into the silence");
        await program.sees("Ben: into the silence", noticesMs + MINUTE / 2);
        expect(network.opened).toBeGreaterThan(before);
      },
    },
    {
      name: "does not come back when the service has ended its session",
      async run() {
        const before = network.opened;
        expect((await call("POST", "/sessions/logout", ann, {})).status).toBe(200);
        await program.says("session ended: LOGGED_OUT");
        await program.says("closed: SESSION_CLOSED");
        expect(await program.ended).toBe(1);
        expect(network.opened).toBe(before);
      },
    },
  ];
}
