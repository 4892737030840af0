/** A hub's name, as the REST reference has it. Letter case doesn't count. */
export const HUB_NAME = /^[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}$/;

const MAX_GROUP_LENGTH = 1024;

/** 1 to 1,024 characters, not all of them blank. */
export function isGroupName(name: unknown): name is string {
  return typeof name === "string" && name.length <= MAX_GROUP_LENGTH && /\S/.test(name);
}

/**
 * The hub in lower case that a client URL names, `/client/hubs/{hub}` or `/client/?hub={hub}`. Undefined for
 * other paths.
 */
export function hubOfClientPath(url: URL): string | undefined {
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "/client") return url.searchParams.get("hub")?.toLowerCase();
  const name = /^\/client\/hubs\/([^/]+)$/.exec(path)?.[1];
  try {
    return name === undefined ? undefined : decodeURIComponent(name).toLowerCase();
  } catch {
    return undefined;
  }
}
