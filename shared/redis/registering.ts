import { evictedSessions, type Parts } from "./evicted.js";
import { fiveKeys, returnsKey, UNFINISHED_KEY } from "./keys.js";
import type { Registered, Session, Sessions } from "./ports.js";
import type { Asking } from "./scripts.js";
import type { Timing } from "./timing.js";

/** Rounds of asking for others. Connections that come meanwhile would have us ask for ever. */
const ASKING_ROUNDS = 3;

/** The connections that the socket service was asked for, and those of them that are gone. */
interface Asked {
  readonly rounds: number;
  readonly ids: readonly string[];
  readonly gone: readonly string[];
}

/** Registers by `lua/register.lua`, again and again until the script needs to know of no other connection. */
export function registering(asking: Asking, timing: Timing): Sessions["register"] {
  const registerOnce = (session: Session, limit: number, asked: Asked) =>
    asking.script<Parts>("register", [...fiveKeys(session.userId), returnsKey(session.userId)], {
      connectionId: session.connectionId,
      order: session.order,
      age: Math.max(0, Math.round(session.age ?? 0)),
      device: session.device,
      likeness: session.likeness,
      takesOver: session.takesOver,
      queue: session.queue ?? "",
      limit,
      asked: asked.ids,
      gone: asked.gone,
      evictsUnasked: asked.rounds >= ASKING_ROUNDS,
      claimMs: timing.claimMs,
      lateMs: timing.lateMs,
      returnMs: timing.returnMs,
      othersMs: timing.othersMs,
      clocksMs: timing.clocksMs,
    });

  return async (session, { limit, whichAreGone }) => {
    let asked: Asked = { rounds: 0, ids: [], gone: [] };
    for (;;) {
      const answer = await registerOnce(session, limit, asked);
      if (answer === undefined) return undefined;
      if (answer[0] !== "ask") return registered(answer);
      const ids = answer.slice(1).map(String);
      const [gone] = await Promise.all([whichAreGone(ids), noteUnfinished(asking, session.userId)]);
      asked = { rounds: asked.rounds + 1, ids: [...asked.ids, ...ids], gone: [...asked.gone, ...gone] };
    }
  };
}

/** Before a connection loses its slot: a process that dies from now on leaves the rest to the sweep. */
export async function noteUnfinished({ script }: Asking, userId: number): Promise<void> {
  await script("noteUnfinished", [UNFINISHED_KEY], { userId });
}

function registered([standing, order, gone, isNew, ...evicted]: Parts): Registered {
  return {
    standing: standing as Registered["standing"],
    order: Number(order),
    gone: Number(gone),
    isNew: isNew === 1,
    toClose: evictedSessions(evicted),
  };
}
