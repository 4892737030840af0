/**
 * Where identity comes from: on a developer's machine the page's own server hands out tokens for demo users. Whoever deploys the
 * page asks their identity provider here instead.
 */

export interface User {
  readonly userId: number;
  readonly nickname: string;
}

export interface Surroundings {
  readonly api: string;
  /** Whose pictures are shown unasked; the page's Content-Security-Policy must allow the same. */
  readonly imageHosts: readonly string[];
  /** Who can be chosen and talked to; undefined where there are no demo users. */
  readonly users: readonly User[] | undefined;
}

/** What `/config.json` holds. */
interface Config {
  readonly api: string;
  readonly imageHosts?: readonly string[];
}

export async function loadSurroundings(): Promise<Surroundings> {
  const [config, demo] = await Promise.all([fetch("/config.json"), fetch("/demo/users")]);
  if (!config.ok) throw new Error(`/config.json answered ${config.status}`);
  const { api, imageHosts = [] } = (await config.json()) as Config;
  // Many a static server answers with the page itself where there is nothing.
  const isDemo = demo.ok && demo.headers.get("content-type")?.startsWith("application/json");
  if (!isDemo) return { api, imageHosts, users: undefined };
  const { users } = (await demo.json()) as { users: readonly User[] };
  return { api, imageHosts, users };
}

export async function tokenFor(userId: number): Promise<string> {
  const answer = await fetch("/demo/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ userId }),
  });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}
