import type { TokenCredential } from "@azure/identity";
import { Cluster, type Redis } from "ioredis";

/** What an Entra token for Azure Managed Redis is asked by. */
const SCOPE = "https://redis.azure.com/.default";
/** Neither a token for years nor one without a readable end keeps the login from being looked at. */
const LONGEST_WAIT_MS = 12 * 3_600_000;

/** Milliseconds. */
export interface LoginTiming {
  /** A token is renewed at least this long before its end, and some of `jitterMs` earlier. */
  readonly marginMs: number;
  readonly jitterMs: number;
  /** Between two tries, when no token could be had or a node did not take it. */
  readonly pauseMs: number;
}

/** The service asks for three minutes. The SDK's own cache gives out a newer token in the last five. */
const TIMING: LoginTiming = { marginMs: 180_000, jitterMs: 90_000, pauseMs: 5_000 };

export interface EntraLogin {
  /** Resolves as soon as there is a token to connect with. Never rejects: a token is asked for again. */
  readonly first: Promise<void>;
  /** To be called when Redis says that a connection is not logged in. Asks for a token after a pause. */
  refused(): void;
  close(): void;
}

/**
 * Logs a client in with the tokens of an identity: its object id is the user, a token the password. Redis
 * ends a connection whose token has ended, so a newer one is sent on every open connection, to every node,
 * in time; connections opened later begin with it. The client must not be connected before `first`. Every
 * failure goes to `onFailure`, and is tried again after a pause, for ever.
 */
export function logInByEntra(
  client: Redis | Cluster,
  credential: TokenCredential,
  onFailure: (error: unknown) => void,
  timing: LoginTiming = TIMING,
): EntraLogin {
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isPausing = false;
  /** One object for good, as connections to come look into it. */
  const login: Login = { username: userOf(client), password: "" };
  let isFirst = (): void => {};
  const first = new Promise<void>((resolve) => {
    isFirst = resolve;
  });

  const next = (delay: number): void => {
    if (!isClosed) timer = setTimeout(renew, Math.min(delay, LONGEST_WAIT_MS)).unref();
  };
  const pause = (): void => {
    clearTimeout(timer);
    isPausing = true;
    next(timing.pauseMs);
  };
  const renew = async (): Promise<void> => {
    isPausing = false;
    try {
      const token = await credential.getToken(SCOPE);
      if (!token) throw new Error("There is no Entra token for Redis.");
      if (isClosed) return;
      const isKnown = token.token === login.password;
      login.username ||= objectIdIn(token.token);
      login.password = token.token;
      await logIn(nodesOf(client), login);
      isFirst();
      if (isKnown) return pause();
      next(timeUntilRenewal(token.expiresOnTimestamp - Date.now(), timing));
    } catch (error) {
      if (isClosed) return;
      onFailure(error);
      pause();
    }
  };
  // Before anybody else's, because a listener may connect the node at once.
  if (client instanceof Cluster)
    client.prependListener("+node", (node: Redis) => void Object.assign(node.options, login));
  void renew();
  return {
    first,
    refused: () => void (isPausing || isClosed || pause()),
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** The user that the URL names. */
const userOf = (client: Redis | Cluster): string =>
  (client instanceof Cluster ? client.options.redisOptions : client.options)?.username ?? "";

/** A token that lives for less than the margin is renewed half-way. */
function timeUntilRenewal(leftMs: number, { marginMs, jitterMs, pauseMs }: LoginTiming): number {
  const wanted = leftMs - marginMs - Math.random() * jitterMs;
  return Math.max(wanted > 0 ? wanted : leftMs / 2, pauseMs);
}

/** A user of Redis, with the password that counts now. */
interface Login {
  username: string;
  password: string;
}

/** Connections to come take the login from their options; those that are open are sent it. */
async function logIn(nodes: readonly Redis[], login: Login): Promise<void> {
  const sent = await Promise.allSettled(nodes.map((node) => logInNode(node, login)));
  const refusal = sent.find((each) => each.status === "rejected" && isReply(each.reason));
  if (refusal?.status === "rejected") throw refusal.reason;
}

async function logInNode(node: Redis, login: Login): Promise<void> {
  Object.assign(node.options, login);
  if (node.status === "ready") await node.auth(login.username, login.password);
  // Its log-in is under way, maybe with the older token.
  else if (node.status === "connecting" || node.status === "connect")
    node.once("ready", () => node.auth(login.username, login.password).catch(() => {}));
}

const nodesOf = (client: Redis | Cluster): readonly Redis[] =>
  client instanceof Cluster ? client.nodes("all") : [client];

/** A node that is lost meanwhile is no failure: its next connection begins with the token. */
const isReply = (error: unknown): boolean => error instanceof Error && error.name === "ReplyError";

/** Claim `oid` of an Entra token, which nobody here needs to check: Redis does. */
function objectIdIn(token: string): string {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString();
  const oid = /"oid"\s*:\s*"([^"]+)"/.exec(payload)?.[1];
  if (oid === undefined)
    throw new Error("The token for Redis has no oid: name the identity's object id in REDIS_URL as its user");
  return oid;
}

/** Whether Redis says that this connection is not logged in. */
export const isLoggedOut = (error: unknown): boolean =>
  isReply(error) && /^(NOAUTH|WRONGPASS)\b/.test((error as Error).message);
