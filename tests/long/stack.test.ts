import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual, promisify } from "node:util";
import { Redis } from "ioredis";
import mysql from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRunning } from "../../local/processes.js";
import { startMySql } from "../../local/services/mysql.js";
import { type Addresses, type Stack, startStack } from "../../local/stack.js";
import { busFromEnvironment } from "../../local/stackBuses.js";
import { busServer } from "../support/bus.js";

const folder = mkdtempSync(join(tmpdir(), "nonstop-stack-"));
const env = {
  MYSQL_URL: "",
  REDIS_URL: "",
  AUTH_JWT_SECRET: "a secret of this test, thirty-two bytes or more",
};

/** The server of the bus that these tests run on. */
const bus = busServer({ bus: busFromEnvironment(process.env) });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const runs = (pid: number): boolean => isRunning(pid);
const pidsOf = ({ stack, ...servers }: Addresses["pids"]) => Object.values(servers);

async function query(url: string, sql: string): Promise<unknown> {
  const connection = await mysql.createConnection(url);
  try {
    return (await connection.query(sql))[0];
  } finally {
    await connection.end();
  }
}

/** Calls the API as a demo user, with a token from the page's server. */
async function call({ page, api }: Addresses, userId: number, path: string, method = "GET", body?: object) {
  const given = await fetch(`${page}/demo/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ userId }),
  });
  const { token } = (await given.json()) as { token: string };
  const answer = await fetch(`${api}/api/v1/chat${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(answer.status).toBe(200);
  return answer.json();
}

interface Room {
  readonly roomId: number;
  readonly type: string;
  readonly name: string;
}

async function roomsOf(addresses: Addresses, userId: number): Promise<Room[]> {
  return ((await call(addresses, userId, "/rooms")) as { rooms: Room[] }).rooms;
}

/** Runs the command line of the stack; `output` grows while it runs. */
function runCommand(args: string[], variables: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["dist/local/stackMain.js", ...args], {
    env: { ...process.env, ...env, ...variables },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const command = {
    child,
    output: "",
    exitCode: new Promise<number | null>((resolve) => child.once("close", resolve)),
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      command.output += text;
    });
  }
  return command;
}

const isUp = (command: { readonly output: string }): Promise<void> =>
  expect.poll(() => command.output).toContain("The chat system is running");

describe("a running stack", () => {
  const data = join(folder, "running");
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({ data, ports: "auto", quiet: true, env });
  });
  afterAll(() => stack?.close());

  test("says in stack.json where everything is", () => {
    const written = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
    expect(written).toEqual(stack.addresses);
    expect(Object.keys(written.pids).sort()).toEqual(
      [bus, "functionsHost", "mysql", "page", "redis", "stack", "storage", "webPubSub"].sort(),
    );
    expect(pidsOf(written.pids).every(runs)).toBe(true);
  });

  test("has its tables, in UTC and with a character set that takes everything", async () => {
    const rows = await query(
      stack.addresses.mysql,
      "SELECT @@time_zone zone, @@character_set_server charset",
    );
    expect(rows).toEqual([{ zone: "+00:00", charset: "utf8mb4" }]);
    expect(await query(stack.addresses.mysql, "SHOW TABLES")).not.toEqual([]);
  });

  test("serves the page, which may call the API", async () => {
    const { page, api } = stack.addresses;
    const index = await fetch(page);
    expect([index.status, index.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(await (await fetch(`${page}/config.json`)).json()).toEqual({ api, imageHosts: [] });
    const preflight = await fetch(`${api}/api/v1/chat/rooms`, {
      method: "OPTIONS",
      headers: {
        origin: page,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
      },
    });
    expect(preflight.status).toBe(204);
    expect(["*", page]).toContain(preflight.headers.get("access-control-allow-origin"));
    expect(await roomsOf(stack.addresses, 1)).toEqual([]);
  });

  test("calls a timer by hand, as the real host does", async () => {
    const post = (name: string) =>
      fetch(`${stack.addresses.api}/admin/functions/${name}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"input":""}',
      });
    expect([(await post("sweep")).status, (await post("nobody")).status]).toEqual([202, 404]);
  });

  test("refuses a second stack on its data folder, and says who has it", async () => {
    const second = startStack({ data, ports: "auto", quiet: true, env });
    await expect(second).rejects.toThrow(`process ${process.pid} is running on the data folder ${data}`);
    expect(existsSync(join(data, "stack.json"))).toBe(true);
  });

  test.each(["redis", "mysql", "storage", bus, "webPubSub", "functionsHost", "page"] as const)(
    "starts %s again when it is killed, at the same address",
    async (name) => {
      const before = stack.addresses;
      stack.kill(name, "SIGKILL");
      await expect.poll(() => stack.addresses.pids[name]).not.toBe(before.pids[name]);
      const written = () => JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
      await expect.poll(() => isDeepStrictEqual(written(), stack.addresses)).toBe(true);
      expect({ ...stack.addresses, pids: {} }).toEqual({ ...before, pids: {} });
      expect(runs(before.pids[name]!)).toBe(false);
    },
  );

  test("answers at the restarted services", async () => {
    const redis = new Redis(stack.addresses.redis, { lazyConnect: true });
    await redis.connect();
    expect(await redis.ping()).toBe("PONG");
    redis.disconnect();
    expect(await query(stack.addresses.mysql, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("restarts a service on request", async () => {
    const before = stack.addresses.pids.redis;
    await stack.restart("redis");
    expect(stack.addresses.pids.redis).not.toBe(before);
  });

  test("leaves no process and no stack.json behind, and its data to the next start", async () => {
    await query(stack.addresses.mysql, "CREATE TABLE kept (word VARCHAR(10))");
    await query(stack.addresses.mysql, "INSERT INTO kept VALUES ('still')");
    const pids = pidsOf(stack.addresses.pids);
    await stack.close();
    expect(pids.filter(runs)).toEqual([]);
    expect(["stack.json", "lock", "children.json"].filter((name) => existsSync(join(data, name)))).toEqual(
      [],
    );
    stack = await startStack({ data, ports: "auto", quiet: true, env });
    expect(await query(stack.addresses.mysql, "SELECT word FROM kept")).toEqual([{ word: "still" }]);
    expect(existsSync(join(data, bus))).toBe(true);
  });
});

describe("the command", () => {
  test("names the taken port, its service and the ways out, and leaves nothing running", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    const data = join(folder, "taken");
    const command = runCommand(["--data", data], { MYSQL_PORT: String(port), API_PORT: String(port) });
    expect(await command.exitCode).toBe(1);
    expect(command.output).toContain(`MYSQL_PORT and API_PORT are both ${port}`);
    expect(command.output).toContain(`port ${port} for the API (functionsHost) is taken: set API_PORT`);
    expect(command.output).toContain("--ports auto");
    expect(existsSync(join(data, "mysql"))).toBe(false);
    await new Promise((resolve) => holder.close(resolve));
  });

  test.each<[string[], Record<string, string>, number, string]>([
    [["--prots", "auto"], {}, 2, "--prots"],
    [["--ports", "some"], {}, 2, "must be auto or fixed"],
    [["--bus", "rabbit"], {}, 2, '--bus is "rabbit" but must be eventhubs or kafka'],
    [[], { EVENT_BUS: "rabbit" }, 1, 'EVENT_BUS is "rabbit" but must be eventhubs or kafka'],
    [
      ["--bus", "kafka"],
      { KAFKA_HOME: "/nowhere", PATH: "" },
      1,
      "or name a running broker in KAFKA_BROKERS",
    ],
    [
      ["--ports", "auto", "--bus", "kafka"],
      { KAFKA_BROKERS: "127.0.0.1:1" },
      1,
      "the server in KAFKA_BROKERS does not answer",
    ],
    [["--data", "package.json"], {}, 1, "cannot be used"],
    [[], { API_PORT: "http" }, 1, 'API_PORT is "http" but must be a port number'],
    [["--ports", "auto"], { REDIS_URL: "redis://127.0.0.1:1" }, 1, "the server in REDIS_URL does not answer"],
    [
      ["--ports", "auto"],
      { MYSQL_URL: "mysql://a:b@127.0.0.1:1/c" },
      1,
      "the server in MYSQL_URL does not answer",
    ],
  ])("says what is wrong with %j %j", async (args, variables, exitCode, message) => {
    const data = args.includes("--data") ? [] : ["--data", join(folder, "wrong")];
    const command = runCommand([...args, ...data], variables);
    expect(await command.exitCode).toBe(exitCode);
    expect(command.output).toContain(message);
    expect(existsSync(join(folder, "wrong/lock"))).toBe(false);
  });

  test("stops once at Ctrl+C, with exit code 0, although the signal comes twice", async () => {
    const data = join(folder, "interrupted");
    const command = runCommand(["--data", data, "--ports", "auto"]);
    await isUp(command);
    const { pids } = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
    command.child.kill("SIGINT");
    command.child.kill("SIGINT");
    expect(await command.exitCode).toBe(0);
    expect(Object.values<number>(pids).filter(runs)).toEqual([]);
  });

  test("makes demo rooms on the first start, and leaves them alone from then on", async () => {
    const data = join(folder, "demo");
    const run = async (use: (addresses: Addresses) => Promise<void>) => {
      const command = runCommand(["--data", data, "--ports", "auto"]);
      await isUp(command);
      const addresses: Addresses = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
      expect(command.output).toContain(`Open       ${addresses.page}\n`);
      expect(command.output).toContain(`token -- 1 Ann --data "`);
      await use(addresses);
      command.child.kill("SIGINT");
      expect(await command.exitCode).toBe(0);
    };
    const roomWithBen = { type: "ONE_TO_ONE", name: "Ben", memberCount: 2 };
    await run(async (addresses) => {
      const rooms = await roomsOf(addresses, 1);
      expect(rooms).toHaveLength(2);
      expect(rooms).toContainEqual(expect.objectContaining(roomWithBen));
      const group = rooms.find(({ type }) => type === "GROUP")!;
      expect(group).toMatchObject({ name: "Nonstop", memberCount: 6 });
      expect((await roomsOf(addresses, 6)).map(({ name }) => name)).toEqual(["Nonstop"]);
      await call(addresses, 1, `/group-rooms/${group.roomId}`, "PATCH", { name: "Ours now" });
    });
    await run(async (addresses) => {
      const names = (await roomsOf(addresses, 1)).map(({ name }) => name);
      expect(names.sort()).toEqual(["Ben", "Ours now"]);
    });
  });

  /** What runs on a data folder, by its command line. */
  const runningOn = async (data: string) => {
    const { stdout } = await promisify(execFile)("ps", ["-A", "-ww", "-o", "stat=,args="]);
    return stdout.split("\n").filter((line) => line.includes(data) && !line.startsWith("Z"));
  };

  test("can be stopped at any moment of its first start, at once and for good", async () => {
    const data = join(folder, "early");
    for (const moment of [
      "mysql: first start, preparing its data folder...",
      "mysql: starting...",
      "mysql: bringing its tables up to date...",
      "webPubSub: starting...",
      "functionsHost: starting...",
      "page: starting...",
    ]) {
      const command = runCommand(["--data", data, "--ports", "auto"]);
      await expect.poll(() => command.output, { interval: 5 }).toContain(moment);
      command.child.kill(moment.includes("webPubSub") ? "SIGHUP" : "SIGINT");
      expect([moment, await command.exitCode]).toEqual([moment, 0]);
      // From then on it begins nothing.
      expect(command.output.split("stopping...")[1]).not.toMatch(/starting|preparing|bringing|is running/);
      await expect.poll(() => runningOn(data)).toEqual([]);
      expect(existsSync(join(data, "lock"))).toBe(false);
    }
    const stack = await startStack({ data, ports: "auto", quiet: true, env });
    expect(await query(stack.addresses.mysql, "SELECT COUNT(*) AS users FROM users")).toEqual([{ users: 0 }]);
    await stack.close();
  });

  test("is killed with all it has started by a second Ctrl+C, when a server doesn't stop", async () => {
    const data = join(folder, "stubborn");
    const command = runCommand(["--data", data, "--ports", "auto"]);
    await expect.poll(() => command.output, { interval: 5 }).toContain("mysql: bringing");
    const children: { pid: number }[] = JSON.parse(readFileSync(join(data, "children.json"), "utf8"));
    for (const { pid } of children) process.kill(pid, "SIGSTOP");
    command.child.kill("SIGINT");
    await expect.poll(() => command.output).toContain("stopping...");
    // What comes at once is the same press of the keys.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    command.child.kill("SIGINT");
    expect(await command.exitCode).toBe(130);
    await expect.poll(() => runningOn(data)).toEqual([]);
    const next = await startStack({ data, ports: "auto", quiet: true, env });
    await next.close();
  });

  test("takes its servers along when it is killed, and its folder can be used at once", async () => {
    const data = join(folder, "killed");
    const command = runCommand(["--data", data, "--ports", "auto"]);
    await isUp(command);
    const { pids } = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
    command.child.kill("SIGKILL");
    await command.exitCode;
    const next = await startStack({ data, ports: "auto", quiet: true, env });
    expect(Object.values<number>(pids).filter(runs)).toEqual([]);
    await next.close();
  });
});

describe("a MySQL data folder", () => {
  test("is prepared again when its preparation was interrupted", async () => {
    const data = join(folder, "half");
    mkdirSync(join(data, "files.unfinished/mysql"), { recursive: true });
    writeFileSync(join(data, "files.unfinished/ibdata1"), "half of it");
    mkdirSync(join(data, "files"), { recursive: true });
    const service = await startMySql({ data, port: 0 });
    expect(await query(service.url, "SELECT DATABASE() AS name")).toEqual([{ name: "chat" }]);
    await service.close();
    expect(runs(service.pid)).toBe(false);
  });

  test("is never prepared over a database", async () => {
    const data = join(folder, "damaged");
    mkdirSync(join(data, "files/chat"), { recursive: true });
    await expect(startMySql({ data, port: 0 })).rejects.toThrow("no system tables");
    expect(existsSync(join(data, "files/chat"))).toBe(true);
  });

  test("may have a path that is too long for a socket", async () => {
    const data = join(folder, "deep/".repeat(20));
    const service = await startMySql({ data, port: 0 });
    expect(await query(service.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await service.close();
  });
});
