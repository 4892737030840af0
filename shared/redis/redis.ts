import type { RedisConfig } from "../config.js";
import { atMostEvery, log } from "../platform/log.js";
import { LEAVE_ID, NOTE_SUBSCRIPTION, NOTED_SUBSCRIPTIONS, TAKE_ID } from "./idsScript.js";
import { DROP_MEMBERS, IS_MEMBER, PUT_MEMBERS } from "./membersScripts.js";
import { KEEP_PIECE } from "./piecesScript.js";
import type {
  Admission,
  EndReason,
  EvictedSession,
  RateKind,
  RedisStore,
  Registered,
  Session,
} from "./ports.js";
import { openRedis } from "./redisConnection.js";
import {
  ADMIT,
  CLAIM_LEFT,
  CLOSED,
  LOG_OUT,
  LOOKED_AFTER,
  NOTE,
  NOTED,
  REGISTER,
  REMOVE,
  TAKE_ONE,
} from "./sessionScripts.js";

const MEMBERS_SECONDS = 300;
/** Longer than any fill can take, so that a fill from before a drop never finds its version again. */
const VERSION_SECONDS = 3_600;
const WINDOW_MS = 60_000;
/** Instead of what a session looks like: no session looks like it. */
const TAKES_OVER = "!";
/** For longer than a frame's pieces are waited for. */
const PIECES_MS = 60_000;
/** As long as a session without a frame is counted. */
const IDS_MS = 7 * 86_400_000;
/** Rounds of asking who is still there; whoever comes meanwhile would have us ask again. */
const ASKING_ROUNDS = 3;

const membersKey = (roomId: number): string => `{room:${roomId}}:members`;
const readTurnKey = (roomId: number): string => `{room:${roomId}}:reads`;
const versionKey = (roomId: number): string => `{room:${roomId}}:version`;
/** The keys of a user's sessions, in the scripts' order. */
const sessionKeys = (userId: number): string[] =>
  ["sessions", "closing", "details", "ended", "logouts"].map((name) => `{user:${userId}}:${name}`);
/** Where those that may not come back stand among them. */
const ENDED = 3;
/** One for all: it can't be in every user's slot. */
const LEFT_KEY = "{sessions}:left";
const faultKey = (name: string): string => `{faults}:${name}`;
const returnsKey = (userId: number): string => `{user:${userId}}:returns`;
const idsKey = (userId: number, key: string): string => `{user:${userId}}:ids:${key}`;
const subscriptionsKey = (userId: number, connectionId: string): string =>
  `{user:${userId}}:subscriptions:${connectionId}`;
const piecesKey = (userId: number, frame: string): string => `{user:${userId}}:pieces:${frame}`;
const rateKey = (userId: number, kind: RateKind): string => `{user:${userId}}:${kind}`;

const SCRIPTS = {
  isMember: { keys: 1, lua: IS_MEMBER },
  putMembers: { keys: 2, lua: PUT_MEMBERS },
  dropMembers: { keys: 2, lua: DROP_MEMBERS },
  take: { keys: 1, lua: TAKE_ONE },
  admit: { keys: 6, lua: ADMIT },
  register: { keys: 6, lua: REGISTER },
  remove: { keys: 5, lua: REMOVE },
  closed: { keys: 5, lua: CLOSED },
  logOut: { keys: 5, lua: LOG_OUT },
  claimUnfinished: { keys: 5, lua: CLAIM_LEFT },
  note: { keys: 1, lua: NOTE },
  noted: { keys: 1, lua: NOTED },
  noteLookedAfter: { keys: 1, lua: LOOKED_AFTER },
  keepPiece: { keys: 1, lua: KEEP_PIECE },
  takeId: { keys: 2, lua: TAKE_ID },
  leaveId: { keys: 1, lua: LEAVE_ID },
  noteSubscription: { keys: 2, lua: NOTE_SUBSCRIPTION },
  notedSubscriptions: { keys: 1, lua: NOTED_SUBSCRIPTIONS },
};

/** Redis behind the port. A call waits for it a moment at most and then goes on without it; failures are logged once a minute with their count. */
export function connectRedis(config: RedisConfig): RedisStore {
  const limited = atMostEvery(60_000);
  const redis = openRedis(config, SCRIPTS, (error) =>
    limited((left) =>
      log.warn("Redis can't be used: limits are open, memberships are read from MySQL", { error, left }),
    ),
  );
  const script = <T>(name: keyof typeof SCRIPTS, keys: string[], args: (string | number | Buffer)[]) =>
    redis.run(keys[0]!, async (commands) => (await commands.script(name, keys, args)) as T);

  /** Before anybody loses a place: whoever dies from now on leaves the rest to the sweep. */
  const note = (userId: number) => script("note", [LEFT_KEY], [userId]);

  const registerOnce = (session: Session, limit: number, asked: Asked) =>
    script<(string | number)[]>(
      "register",
      [...sessionKeys(session.userId), returnsKey(session.userId)],
      [
        session.connectionId,
        session.order ?? 0,
        Math.max(0, Math.round(session.age ?? 0)),
        `${session.device ?? "-"};${session.takesOver ? TAKES_OVER : (session.likeness ?? "")}`,
        session.queue ?? "",
        limit,
        asked.rounds >= ASKING_ROUNDS ? 1 : 0,
        asked.ids.length,
        ...asked.ids,
        ...asked.gone,
      ],
    );

  return {
    async isMember(roomId, userId) {
      const answer = await script("isMember", [membersKey(roomId)], [userId]);
      return answer === 1 ? true : answer === 0 ? false : undefined;
    },
    membersVersion: (roomId) =>
      redis.run(versionKey(roomId), async (commands) => (await commands.get(versionKey(roomId))) ?? "0"),
    async putMembers(roomId, userIds, version) {
      if (version === undefined || userIds.length === 0) return;
      const keys = [membersKey(roomId), versionKey(roomId)];
      await script("putMembers", keys, [version, MEMBERS_SECONDS, ...userIds]);
    },
    async dropMembers(roomId) {
      await script("dropMembers", [membersKey(roomId), versionKey(roomId)], [VERSION_SECONDS]);
    },
    takeReadTurn: (roomId, withinMs) =>
      redis.run(
        readTurnKey(roomId),
        async (commands) => (await commands.set(readTurnKey(roomId), "1", "PX", withinMs, "NX")) === "OK",
      ),

    async register(session, { limit, whichAreGone }) {
      let asked: Asked = { rounds: 0, ids: [], gone: [] };
      for (;;) {
        const answer = await registerOnce(session, limit, asked);
        if (answer === undefined) return undefined;
        const [standing, order, gone, isNew, ...ended] = answer.map(String);
        if (standing !== "ask")
          return {
            standing: standing as Registered["standing"],
            order: Number(order),
            gone: Number(gone),
            isNew: isNew === "1",
            toClose: endedSessions(ended),
          };
        const ids = answer.slice(1).map(String);
        const [found] = await Promise.all([whichAreGone(ids), note(session.userId)]);
        asked = {
          rounds: asked.rounds + 1,
          ids: [...asked.ids, ...ids],
          gone: [...asked.gone, ...found],
        };
      }
    },
    async admit(session, rate) {
      const { userId, connectionId, queue } = session;
      const keys = [...sessionKeys(userId), rateKey(userId, rate?.kind ?? "messages")];
      const knowsQueue = queue === undefined ? 0 : 1;
      const args = [connectionId, knowsQueue, queue ?? "", rate?.limit ?? 0, WINDOW_MS];
      const answer = await script<(string | number)[]>("admit", keys, args);
      if (answer === undefined) return undefined;
      const [standing, order, retryAfter, ...ended] = answer.map(String);
      return {
        standing: standing as Admission["standing"],
        ...(standing === "live" ? { order: Number(order) } : {}),
        retryAfter: Number(retryAfter),
        toClose: endedSessions(ended),
      };
    },
    take: (userId, { kind, limit }) => script<number>("take", [rateKey(userId, kind)], [limit, WINDOW_MS]),
    async remove(userId, connectionId) {
      const had = await script<number>("remove", sessionKeys(userId), [connectionId]);
      return had === undefined ? undefined : had === 1;
    },
    async closed(userId, connectionId) {
      const was = await script<number>("closed", sessionKeys(userId), [connectionId]);
      return was === undefined ? undefined : was === 1;
    },
    async logOut(userId, device) {
      await note(userId);
      const answer = await script<string[]>("logOut", sessionKeys(userId), [device ?? ""]);
      return answer === undefined ? undefined : endedSessions(answer.map(String));
    },
    async listUnfinished(most) {
      const parts = ((await script<string[]>("noted", [LEFT_KEY], [most])) ?? []).map(Number);
      const users = parts.filter((_, index) => index % 2 === 0);
      return users.map((userId, index) => ({ userId, noted: parts[2 * index + 1]! }));
    },
    async claimUnfinished(userId) {
      const answer = await script<(string | number)[]>("claimUnfinished", sessionKeys(userId), []);
      // Who can't be asked may have something left.
      const [unclosed = 1, ...ended] = answer ?? [];
      return { unclosed: Number(unclosed), toClose: endedSessions(ended.map(String)) };
    },
    async noteLookedAfter({ userId, noted }, isDone) {
      await script("noteLookedAfter", [LEFT_KEY], [userId, noted, isDone ? 1 : 0]);
    },

    async takeId(userId, connectionId, key, id, limit) {
      const keys = [sessionKeys(userId)[0]!, idsKey(userId, key)];
      const taken = await script<number>("takeId", keys, [connectionId, id, limit, IDS_MS]);
      return taken === undefined ? undefined : taken === 1;
    },
    async leaveId(userId, connectionId, key, id) {
      await script("leaveId", [idsKey(userId, key)], [connectionId, id]);
    },
    async noteSubscription(userId, connectionId, { lane, wire }) {
      const keys = [sessionKeys(userId)[ENDED]!, subscriptionsKey(userId, connectionId)];
      const noted = await script<number>("noteSubscription", keys, [connectionId, lane, wire]);
      return noted === undefined ? undefined : noted === 1;
    },
    async notedSubscriptions(userId, connectionId) {
      const key = subscriptionsKey(userId, connectionId);
      const noted = (await script<string[]>("notedSubscriptions", [key], [])) ?? [];
      return noted.map((text) => {
        const end = text.indexOf(" ");
        return { lane: text.slice(0, end), wire: text.slice(end + 1) };
      });
    },
    async keepPiece(userId, frame, offset, bytes) {
      const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const key = piecesKey(userId, frame);
      return (await script("keepPiece", [key], [offset, piece, PIECES_MS])) === 1;
    },
    async readPieces(userId, frame, length) {
      const key = piecesKey(userId, frame);
      const bytes = await redis.run(key, (commands) => commands.getStart(key, length));
      return bytes?.length === length ? bytes : undefined;
    },

    async noteFault(name, forMs) {
      const key = faultKey(name);
      await redis.run(key, (commands) => commands.setFor(key, "1", forMs));
    },
    async hasFault(name) {
      const key = faultKey(name);
      return (await redis.run(key, (commands) => commands.get(key))) === "1";
    },

    ping: () => redis.ping(),
    close: () => redis.close(),
  };
}

/** Whom the socket service was asked for, and who of them is gone. */
interface Asked {
  readonly rounds: number;
  readonly ids: readonly string[];
  readonly gone: readonly string[];
}

/** The scripts answer flat lists: connection id, reason, queue, and so on. */
function endedSessions(parts: readonly string[]): EvictedSession[] {
  const sessions: EvictedSession[] = [];
  for (let at = 0; at + 2 < parts.length; at += 3)
    sessions.push({
      connectionId: parts[at]!,
      reason: parts[at + 1] as EndReason,
      queue: parts[at + 2]!,
    });
  return sessions;
}
