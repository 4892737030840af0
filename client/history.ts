import type { Http } from "./http.js";
import type { Message, OutboxEntry } from "./types.js";

/** The largest page that the service answers with. */
export const LARGEST_PAGE = 100;
/** A message that is not in the newest pages, this many, counts as deleted. */
const MOST_PAGES = 20;
/**
 * How far the clocks of device and service may differ: by more than a day where somebody set a wrong time
 * zone.
 */
const CLOCKS_MS = 26 * 3_600_000;

/**
 * A page of a room's history. With `before`, and without either, the newest message is the first; with
 * `after` the oldest is. Rejects with a `ChatError`.
 */
export const historyPage = (http: Http, roomId: number, query: string): Promise<readonly Message[]> =>
  http.field("GET", `/rooms/${roomId}/messages?${query}`, "messages");

/**
 * Looks for a message that this client has sent, from the newest page back to the time at which it was
 * written. Resolves with `undefined` where the history doesn't have it; rejects with a `ChatError` where
 * nobody can say so now.
 */
export async function findSent(
  http: Http,
  { roomId, clientMessageId, createdAt }: OutboxEntry,
  userId: number | undefined,
): Promise<Message | undefined> {
  const since = Date.parse(createdAt) - CLOCKS_MS;
  let before = "";
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const page = await historyPage(http, roomId, `limit=${LARGEST_PAGE}${before}`);
    const found = page.find((one) => one.senderId === userId && one.clientMessageId === clientMessageId);
    const oldest = page.at(-1);
    if (found || !oldest || page.length < LARGEST_PAGE || Date.parse(oldest.sentAt) < since) return found;
    before = `&before=${oldest.seq}`;
  }
  return undefined;
}
