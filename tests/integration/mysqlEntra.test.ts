import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.js";
import { newDatabase } from "../support/database.js";
import { type MySqlEntra, startMySqlEntra } from "../support/mysqlEntra.js";
import { startTokenEndpoint, type TokenEndpoint } from "../support/tokenEndpoint.js";

let authority: Authority;
let certificate: Certificate;
let endpoint: TokenEndpoint;
let behind: Awaited<ReturnType<typeof newDatabase>>;
let server: MySqlEntra;

beforeAll(async () => {
  authority = await makeAuthority();
  certificate = await authority.certify("localhost");
  behind = await newDatabase();
});
afterAll(async () => {
  await behind.close();
  authority.close();
});
beforeEach(async () => {
  endpoint = await startTokenEndpoint();
  server = await startMySqlEntra(behind.url, certificate, endpoint);
  return async () => {
    await server.close();
    await endpoint.close();
  };
});

const DIST = new URL("../../dist/", import.meta.url).href;

/** A process that trusts the authority from its start on, as that can't be had later. */
const PROGRAM = `
  const { openDatabase } = await import("${DIST}shared/store/database.js");
  const { createCredential } = await import("${DIST}shared/platform/credential.js");
  const { toChatError } = await import("${DIST}shared/platform/errors.js");
  const { MYSQL_URL, MYSQL_ENTRA, AZURE_CLIENT_ID } = process.env;
  const entra = MYSQL_ENTRA === "false" ? {} : { credential: createCredential(AZURE_CLIENT_ID) };
  const database = openDatabase(MYSQL_URL, { poolSize: 4, ...entra });
  const failure = (error) => {
    const { code, details } = toChatError(error);
    const texts = [];
    for (let at = error; at; at = at.cause) texts.push(at.code + " " + at.message);
    return { code, toBeMended: details.toBeMended === true, why: texts.join("; ") };
  };
  process.on("message", async ({ id, sql }) => {
    const answer = await database.query(sql).then(([rows]) => ({ rows }), (error) => ({ failure: failure(error) }));
    process.send({ id, ...answer });
  });
  process.send("ready");
`;

interface Answer {
  readonly id: number;
  readonly rows?: RowDataPacket[];
  readonly failure?: { readonly code: string; readonly toBeMended: boolean; readonly why: string };
}

/** The app's database in a process of its own. `ask` resolves with what a statement gave. */
async function startApp(more: Readonly<Record<string, string>> = {}) {
  const url = new URL(behind.url);
  const env = {
    ...process.env,
    ...endpoint.env,
    NODE_EXTRA_CA_CERTS: authority.file,
    MYSQL_URL: `mysql://nonstop-app@localhost:${server.port}${url.pathname}`,
    ...more,
  };
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    cwd: "/",
    env,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const waiting = new Map<number, (answer: Answer) => void>();
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("the program has ended")));
    child.on("message", (message: "ready" | Answer) => {
      if (message === "ready") resolve();
      else waiting.get(message.id)?.(message);
    });
  });
  let asked = 0;
  return {
    ask: (sql: string) =>
      new Promise<Answer>((resolve) => {
        asked += 1;
        waiting.set(asked, resolve);
        child.send({ id: asked, sql });
      }),
  };
}

const ONE = "SELECT 1 AS one";
const IT_IS_ONE = expect.objectContaining({ rows: [{ one: 1 }] });

test("the password is the identity's token, sent over verified TLS, and the user is the URL's", async () => {
  const app = await startApp();
  expect(await app.ask(ONE)).toEqual(IT_IS_ONE);
  expect(server.users).toEqual(["nonstop-app"]);
  expect(server.tokens).toEqual(endpoint.issued.map(({ token }) => token));
  expect(endpoint.issued.map(({ audience }) => audience)).toEqual([
    "https://ossrdbms-aad.database.windows.net",
  ]);
});

test("connections share a token while it is good, also those that are opened at once", async () => {
  const app = await startApp();
  await Promise.all(Array.from({ length: 4 }, () => app.ask("SELECT SLEEP(0.2)")));
  expect(server.tokens).toHaveLength(4);
  server.cut();
  expect(await app.ask(ONE)).toEqual(IT_IS_ONE);
  expect(server.tokens.length).toBeGreaterThan(4);
  expect(endpoint.issued).toHaveLength(1);
});

test("a connection opened later comes with a newer token, and those that are open stay", async () => {
  endpoint.lifetimeMs = 1_000;
  const app = await startApp();
  expect(await app.ask("SELECT CONNECTION_ID() AS id")).toHaveProperty("rows");
  const [first] = await Promise.all([app.ask("SELECT CONNECTION_ID() AS id"), sleep(2_500)]);
  // The token is over; the connection is not.
  expect((await app.ask("SELECT CONNECTION_ID() AS id")).rows).toEqual(first.rows);
  expect(server.tokens).toHaveLength(1);
  server.cut();
  expect(await app.ask(ONE)).toEqual(IT_IS_ONE);
  expect(server.tokens).toHaveLength(2);
  expect(server.tokens[1]).not.toBe(server.tokens[0]);
});

test("tokens end and connections break under load, and every question is answered", async () => {
  endpoint.lifetimeMs = 1_000;
  const app = await startApp();
  const until = Date.now() + 8_000;
  const breaking = setInterval(() => server.cut(), 1_000);
  const asking = Array.from({ length: 8 }, async () => {
    const answers: Answer[] = [];
    while (Date.now() < until) answers.push(await app.ask(ONE));
    return answers;
  });
  const answers = (await Promise.all(asking)).flat();
  clearInterval(breaking);
  expect(answers.length).toBeGreaterThan(100);
  expect(answers.filter(({ failure }) => failure)).toEqual([]);
  expect(new Set(server.tokens).size).toBeGreaterThan(4);
});

test("a server that goes while the token is awaited takes nothing with it but the connection", async () => {
  endpoint.lifetimeMs = 1_000;
  endpoint.onIssued = () => sleep(300);
  const app = await startApp();
  const asked = Array.from({ length: 4 }, () => app.ask(ONE));
  await expect.poll(() => server.users.length).toBe(4);
  server.cut();
  await Promise.all(asked);
  expect(await app.ask(ONE)).toEqual(IT_IS_ONE);
});

describe("no token leaves the process", () => {
  const unsent = async (url: string, reason: RegExp): Promise<void> => {
    const app = await startApp({ MYSQL_URL: url });
    const { failure } = await app.ask(ONE);
    expect(failure?.why).toMatch(reason);
    expect(failure).toMatchObject({ code: "UNAVAILABLE" });
    expect(server.tokens).toEqual([]);
  };
  const urlOf = (host: string) => `mysql://nonstop-app@${host}:${server.port}/chat`;

  test("to a server without TLS", async () => {
    server.offersTls = false;
    await unsent(urlOf("localhost"), /does not support secure connection/);
  });

  test("to a server whose certificate is for another name", async () => {
    await server.close();
    server = await startMySqlEntra(behind.url, await authority.certify("other.example.com"), endpoint);
    await unsent(urlOf("localhost"), /altnames|ERR_TLS_CERT_ALTNAME_INVALID/i);
  });

  test("to a server whose certificate nobody known has signed", async () => {
    const stranger = await makeAuthority();
    onTestFinished(() => stranger.close());
    await server.close();
    server = await startMySqlEntra(behind.url, await stranger.certify("localhost"), endpoint);
    await unsent(urlOf("localhost"), /signature failure|unable to verify|issuer certificate/);
  });

  test("and no password either, where a server asks for one in clear text", async () => {
    const app = await startApp({
      MYSQL_ENTRA: "false",
      MYSQL_URL: `mysql://app:secret@localhost:${server.port}/chat?ssl=${encodeURIComponent("{}")}`,
    });
    expect((await app.ask(ONE)).failure?.why).toMatch(/mysql_clear_password/);
    expect(server.tokens).toEqual([]);
  });
});

test("while no token can be had it is a passing failure, and then it works again", async () => {
  endpoint.isDown = true;
  const app = await startApp();
  expect((await app.ask(ONE)).failure).toMatchObject({ code: "UNAVAILABLE", toBeMended: false });
  endpoint.isDown = false;
  await expect.poll(() => app.ask(ONE)).toEqual(IT_IS_ONE);
});

test("a token that the server does not take has to be mended, as a wrong password", async () => {
  const other = await startTokenEndpoint();
  onTestFinished(() => other.close());
  const app = await startApp(other.env);
  expect((await app.ask(ONE)).failure).toMatchObject({ code: "UNAVAILABLE", toBeMended: true });
});

test("migrations are made by the identity, too", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(projectRoot, "dist/shared/store/migrate.js")],
    {
      env: {
        ...process.env,
        ...endpoint.env,
        NODE_EXTRA_CA_CERTS: authority.file,
        MYSQL_ENTRA: "true",
        MYSQL_URL: `mysql://nonstop-app@localhost:${server.port}${new URL(behind.url).pathname}`,
      },
    },
  );
  expect(stdout).toBe("The schema is up to date.\n");
  expect(server.users).toEqual(["nonstop-app"]);
});
