/**
 * Where identity comes from. On a developer's machine the page's own server hands out tokens for demo users.
 * A page that is deployed asks its identity provider here instead.
 */

export interface User {
  readonly userId: number;
  readonly nickname: string;
}

export interface Surroundings {
  /** The address of the HTTP API. */
  readonly api: string;
  /**
   * The hosts whose pictures are shown unasked. The page's Content-Security-Policy must allow the same hosts.
   */
  readonly imageHosts: readonly string[];
  /** The users who can be chosen and talked to; undefined where there are no demo users. */
  readonly users: readonly User[] | undefined;
}

/** Asks the page's own server. Rejects when it can't be reached, or answers something else. */
export async function loadSurroundings(): Promise<Surroundings> {
  const [config, demo] = await Promise.all([fetch("/config.json"), fetch("/demo/users")]);
  if (!config.ok) throw new Error(`/config.json answered ${config.status}.`);
  // Many a static server answers with the page itself for a path that it does not have.
  const isDemo = demo.ok && demo.headers.get("content-type")?.startsWith("application/json");
  return { ...readConfig(await config.json()), users: isDemo ? readUsers(await demo.json()) : undefined };
}

/** A token for a demo user. Rejects when the page's server gives none. */
export async function tokenFor(userId: number): Promise<string> {
  const answer = await fetch("/demo/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ userId }),
  });
  if (!answer.ok) throw new Error(`/demo/token answered ${answer.status}.`);
  const body: unknown = await answer.json();
  if (!isObject(body) || typeof body["token"] !== "string") throw new Error("/demo/token has no token.");
  return body["token"];
}

/** Reads `/config.json`. `imageHosts` may be missing. */
export function readConfig(config: unknown): Pick<Surroundings, "api" | "imageHosts"> {
  if (!isObject(config)) throw new Error("/config.json is no object.");
  const { api, imageHosts = [] } = config;
  if (typeof api !== "string") throw new Error("/config.json has no `api`.");
  if (!Array.isArray(imageHosts) || !imageHosts.every((host) => typeof host === "string"))
    throw new Error("In /config.json `imageHosts` is no list of hosts.");
  return { api, imageHosts };
}

/** Reads `/demo/users`. */
export function readUsers(demo: unknown): readonly User[] {
  const users = isObject(demo) ? demo["users"] : undefined;
  if (!Array.isArray(users) || !users.every(isUser)) throw new Error("/demo/users is no list of users.");
  return users;
}

const isUser = (value: unknown): value is User =>
  isObject(value) && typeof value["userId"] === "number" && typeof value["nickname"] === "string";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
