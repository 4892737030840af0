/**
 * Sends a message through a deployed system and looks for it where it should come out. Ends at the first
 * step that fails, with what to look at.
 *
 *   SMOKE_TOKEN=… node infra/hooks/smoke.mjs https://NAME.azurewebsites.net [--patience SECONDS]
 *
 * The token is one that your identity provider makes for a user: SMOKE_TOKEN, or what the command
 * SMOKE_TOKEN_COMMAND prints. Without one only the first steps are taken, which is said.
 */
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { HookError, run, say } from "./programs.mjs";
import { openStomp } from "./stompSocket.mjs";

const ROUTES = "/api/v1/chat";
const ROOM = "Deployment check";
/** A start from nothing is within it, and the trigger's way from no instance to the first. */
const PATIENCE_MS = 120_000;
const STEP_MS = 30_000;
const PAUSE_MS = 2_000;

/**
 * Takes all steps against the app at `url`, each within a bound of time. Throws an error that names the step,
 * what happened, and what to look at.
 */
export async function smoke(env, url, patienceMs = PATIENCE_MS) {
  await step("health", "GET /health of the app, then the dependency that is down", STEP_MS, () =>
    checkHealth(url),
  );
  await step(
    "upstream",
    "the route of functions/clientEvent.ts, and whether the platform's CORS answers OPTIONS itself",
    STEP_MS,
    () => checkUpstream(url),
  );
  const token = await findToken(env);
  if (token === undefined)
    return say(
      "smoke: NOT TRIED: signing in, and a message's way. Set SMOKE_TOKEN or SMOKE_TOKEN_COMMAND for it",
    );
  await sendThrough({ url, token, patienceMs });
  say("smoke: a message went through and is stored");
}

/**
 * Resolves when `/health` answers, whatever it says: then the host has found the functions. What is down is for
 * the checks after it, as the database may be prepared later, from inside a private network.
 */
export async function untilHealthy(url, ms) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await fetch(`${url}${ROUTES}/health`, { signal: AbortSignal.timeout(STEP_MS) }).catch(
      (error) => error,
    );
    if (await isOfApp(answer)) return;
    const why = answer.status === undefined ? answer.message : `it answers ${answer.status}`;
    if (Date.now() > end) throw new HookError(`the app is not healthy within ${ms / 1_000} s: ${why}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** The platform answers 503, too, for an app that does not start. That has no `status`. */
async function isOfApp(answer) {
  if (answer.status === 200) return true;
  if (answer.status !== 503) return false;
  const body = await answer.json().catch(() => undefined);
  return typeof body?.status === "string";
}

async function checkHealth(url) {
  const { status, body } = await call(url, "GET", "/health");
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  if (body.status !== "up") say(`smoke: /health says ${JSON.stringify(body)}`);
}

/** What Web PubSub asks before it sends events (CloudEvents, "Web Hooks", section 4). */
async function checkUpstream(url) {
  const answer = await fetch(`${url}${ROUTES}/upstream/validate`, {
    method: "OPTIONS",
    headers: { "webhook-request-origin": "smoke.webpubsub.azure.com", "ce-awpsversion": "1.0" },
    signal: AbortSignal.timeout(STEP_MS),
  });
  const allowed = answer.headers.get("webhook-allowed-origin");
  if (!answer.ok || allowed !== "*") throw new Error(`${answer.status}, WebHook-Allowed-Origin: ${allowed}`);
}

async function findToken(env) {
  if (env.SMOKE_TOKEN) return env.SMOKE_TOKEN;
  if (!env.SMOKE_TOKEN_COMMAND) return undefined;
  const shell = process.platform === "win32" ? ["pwsh", ["-Command"]] : ["sh", ["-c"]];
  return run(shell[0], [...shell[1], env.SMOKE_TOKEN_COMMAND], { timeoutMs: STEP_MS });
}

async function sendThrough({ url, token, patienceMs }) {
  const ask = (method, path, body) => asUser(url, token, method, path, body);
  const roomId = await step(
    "sign in",
    "AUTH_ISSUER, AUTH_AUDIENCE, AUTH_JWKS_URI of the app and the token's claims",
    STEP_MS,
    () => findRoom(ask),
  );
  const socket = await step(
    "socket",
    "Web PubSub: its hub's event handler, and the app's WEB_PUBSUB_ENTRA_ settings",
    patienceMs,
    async () => {
      const { url: address } = await ask("POST", "/negotiate");
      return openStomp(address, STEP_MS);
    },
  );
  try {
    await converse(socket, roomId, ask, patienceMs);
  } finally {
    socket.close();
  }
}

/** The room of the last check, or a new one, in which the token's user is alone. */
async function findRoom(ask) {
  const { rooms } = await ask("GET", "/rooms?limit=100");
  const found = rooms.find(({ name }) => name === ROOM);
  return found?.roomId ?? (await ask("POST", "/group-rooms", { roomName: ROOM, userIds: [] })).roomId;
}

async function converse(socket, roomId, ask, patienceMs) {
  const clientMessageId = randomUUID();
  const receipt = (id) =>
    socket.frame(({ command, headers }) => command === "RECEIPT" && headers["receipt-id"] === id);
  await step("CONNECT", "logs of the function clientEvent", STEP_MS, () => {
    socket.send("CONNECT", { "accept-version": "1.2", host: "chat", "heart-beat": "0,0" });
    return socket.frame(({ command }) => command === "CONNECTED");
  });
  await step(
    "SUBSCRIBE",
    "logs of the function clientEvent; its role Web PubSub Service Owner",
    STEP_MS,
    () => {
      socket.send("SUBSCRIBE", {
        id: "smoke",
        destination: `/sub/chat/room/${roomId}`,
        receipt: "subscribed",
      });
      return receipt("subscribed");
    },
  );
  await step(
    "SEND",
    "Event Hubs: the app's role Azure Event Hubs Data Sender, the hub chat-messages",
    STEP_MS,
    () => {
      const body = JSON.stringify({
        roomId,
        content: `checked ${new Date().toISOString()}`,
        clientMessageId,
      });
      socket.send(
        "SEND",
        { destination: "/pub/chat/message", "content-type": "application/json", receipt: "accepted" },
        body,
      );
      return receipt("accepted");
    },
  );
  await step(
    "MESSAGE",
    "the function chatMessages: whether it runs, the role Azure Event Hubs Data Receiver, MySQL",
    patienceMs,
    () => socket.frame(({ command, body }) => command === "MESSAGE" && body.includes(clientMessageId)),
  );
  await step("history", "MySQL, and the logs of the function chatMessages", STEP_MS, async () => {
    const { messages } = await ask("GET", `/rooms/${roomId}/messages?limit=20`);
    if (!messages.some((message) => message.clientMessageId === clientMessageId))
      throw new Error("it is not in the history");
  });
}

/** Does one step within `ms`. */
async function step(name, advice, ms, work) {
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came within ${ms / 1_000} s`)), ms);
  });
  try {
    const result = await Promise.race([work(), tooLate]);
    say(`smoke: ${name} ok`);
    return result;
  } catch (error) {
    const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
    throw new HookError(`smoke: ${name} FAILED: ${error.message}${cause}\n  Look at: ${advice}`);
  } finally {
    clearTimeout(timer);
  }
}

async function call(url, method, path, headers = {}, content = undefined) {
  const body = content === undefined ? {} : { body: JSON.stringify(content) };
  const answer = await fetch(`${url}${ROUTES}${path}`, {
    method,
    headers,
    ...body,
    signal: AbortSignal.timeout(STEP_MS),
  });
  const text = await answer.text();
  try {
    return { status: answer.status, body: JSON.parse(text) };
  } catch {
    throw new Error(`${method} ${path} is answered ${answer.status}, not in JSON: ${text.slice(0, 100)}`);
  }
}

async function asUser(url, token, method, path, content) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { status, body } = await call(url, method, path, headers, content);
  if (status >= 300) throw new Error(`${method} ${path} is answered ${status} ${JSON.stringify(body)}`);
  return body;
}

async function main() {
  const options = { patience: { type: "string", default: String(PATIENCE_MS / 1_000) } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const url = (positionals[0] ?? process.env.AZURE_FUNCTION_APP_URL ?? "").replace(/\/$/, "");
  if (!/^https?:\/\//.test(url)) throw new HookError("name the app: node infra/hooks/smoke.mjs https://HOST");
  if (!/^[1-9]\d{0,3}$/.test(values.patience)) throw new HookError("--patience must be seconds, 1 to 9999");
  await smoke(process.env, url, Number(values.patience) * 1_000);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  main().then(
    () => process.exit(0),
    (error) => {
      say(error instanceof HookError ? error.message : error.stack);
      process.exit(1);
    },
  );
