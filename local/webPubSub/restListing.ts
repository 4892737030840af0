import { badRequest, type RestAnswer, type RestCall } from "./restCall.js";
import { numberIn } from "./restQuery.js";

const MAX_PAGE = 200;

/**
 * A page of a group in the order of connection ids. The continuation holds the last id of the page, so pages
 * survive changes.
 */
export function listConnections(call: RestCall, group: string): RestAnswer {
  const { hub, query, origin, path } = call;
  const top = numberIn(query, "top", 1) ?? Number.MAX_SAFE_INTEGER;
  const size = Math.min(numberIn(query, "maxpagesize", 1, MAX_PAGE) ?? MAX_PAGE, top);
  const of = `${hub.name}\n${group}\n`;
  const after = lastIdIn(query, of);
  const members = [...hub.group(group)].filter(({ id }) => id > after);
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = members.slice(0, size);
  const value = page.map(({ id, userId }) => ({ connectionId: id, userId }));
  if (members.length <= size || size === top) return { status: 200, body: { value } };
  const next = new URLSearchParams(query);
  next.set("continuationToken", Buffer.from(of + page.at(-1)!.id).toString("base64url"));
  if (query.has("top")) next.set("top", String(top - size));
  return {
    status: 200,
    body: { value, nextLink: `${origin}/api/hubs/${encodeURIComponent(hub.name)}/${path}?${next}` },
  };
}

/**
 * The id after which a page begins. Throws RestError for a continuation that was not given for this group.
 */
function lastIdIn(query: URLSearchParams, of: string): string {
  const [token, ...more] = query.getAll("continuationToken");
  if (token === undefined) return "";
  const last = Buffer.from(token, "base64url").toString();
  if (more.length === 0 && last.startsWith(of)) return last.slice(of.length);
  throw badRequest("Invalid continuationToken.", "continuationToken");
}
