import type { Frame, RheaConnection, RheaLink, RheaSender, RheaSession, Transfer } from "./rhea.js";

// Corrects rhea where it does something else than AMQP 1.0 says, or than clients in other languages expect.

/**
 * The highest handle of a session, which Event Hubs says in its `begin`. A session can have one link more
 * than this.
 */
const HANDLE_MAX = 255;

/** How many deliveries one disposition can be about. A session never has this many open. */
const MAX_SETTLED_AT_ONCE = 1_000_000;

const UINT = 2 ** 32;
const NO_BYTES = Buffer.alloc(0);

/** The number of fields of each performative (AMQP 1.0 §2.7) and of an error (§2.8.14), by descriptor. */
const FIELDS: Readonly<Record<number, number>> = {
  16: 10, // open
  17: 8, // begin
  18: 14, // attach
  19: 11, // flow
  20: 11, // transfer
  21: 6, // disposition
  22: 3, // detach
  23: 1, // end
  24: 1, // close
  29: 3, // error
};

/**
 * Writes all fields of each performative, null for those without a value. Fields at the end of a list may be
 * missing (AMQP 1.0 §1.4), but some clients, the Python SDK for one, read them by their position.
 */
export function writeAllFields(connection: RheaConnection): void {
  const write = connection._write_frame;
  connection._write_frame = (channel, performative, payload) => {
    if (performative) fill(performative.value, FIELDS[performative.constructor.descriptor.numeric]);
    write.call(connection, channel, performative, payload);
  };
}

function fill(fields: unknown[], count = fields.length): void {
  for (const field of fields) fillError(field);
  for (let index = fields.length; index < count; index += 1) fields[index] = null;
}

/** An error is a field of `detach`, `end` and `close`, and of the state in a disposition. */
function fillError(field: unknown): void {
  const { descriptor, value } = (field ?? {}) as { descriptor?: { value: unknown }; value?: unknown };
  if (descriptor && Array.isArray(value)) fill(value, FIELDS[Number(descriptor.value)]);
}

/**
 * Ignores detaches that come after the end of their session, as Python sends them: nothing is left to detach.
 */
export function tolerate(connection: RheaConnection): void {
  const { on_detach } = connection;
  connection.on_detach = (frame) => {
    if (connection.remote_channel_map[frame.channel]) on_detach.call(connection, frame);
  };
}

/**
 * Makes a session do what the specification asks of it. `takes` sees each transfer before rhea does, and may
 * change it.
 */
export function correct(session: RheaSession, takes: (link: RheaLink, frame: Transfer) => void): void {
  session.local.begin.handle_max = HANDLE_MAX;
  let links = 0;
  session.on_attach = (frame) => attach(session, frame, links++);
  const { on_detach, on_flow, on_transfer, on_disposition } = session;
  session.on_detach = (frame) => {
    const link = session.remote.handles[frame.performative.handle];
    if (!link) return; // It is detached already.
    on_detach.call(session, frame);
    // From now on the handle may mean another link.
    delete session.remote.handles[frame.performative.handle];
    if (!frame.performative.closed) suspend(link);
  };
  session.on_flow = (frame) => {
    const { handle, echo } = frame.performative;
    const link = isNumber(handle) ? linkOf(session, handle) : undefined;
    if (isNumber(handle) && !link) return;
    on_flow.call(session, frame);
    if (echo) answerFlow(session, link);
  };
  session.on_transfer = (frame) => {
    const link = linkOf(session, frame.performative.handle);
    if (!link) return;
    if (!link.is_receiver()) {
      endSession(session, "amqp:not-allowed", "A transfer came on a link whose receiver is its peer.");
      return;
    }
    transfer(session, link, frame, () => {
      takes(link, frame);
      on_transfer.call(session, frame);
    });
  };
  session.on_disposition = (frame) => {
    const { first, last } = frame.performative;
    if (isNumber(last) && last - first > MAX_SETTLED_AT_ONCE)
      endSession(session, "amqp:invalid-field", "A disposition is about more deliveries than there are.");
    else on_disposition.call(session, frame);
  };
}

const isNumber = (value: unknown): value is number => typeof value === "number";

/**
 * Ends the session with an error. Frames that still come on it are ignored until the peer ends it too (AMQP
 * 1.0 §2.5.5).
 */
function endSession(session: RheaSession, condition: string, description: string): void {
  const ignore = (): void => {};
  Object.assign(session, {
    on_attach: ignore,
    on_detach: ignore,
    on_flow: ignore,
    on_transfer: ignore,
    on_disposition: ignore,
  });
  session.dispatch("session_close", session._context());
  session.close({ condition, description });
}

/** The link with this handle. A handle without a link ends the session (AMQP 1.0 §2.8.17). */
function linkOf(session: RheaSession, handle: number): RheaLink | undefined {
  const link = session.remote.handles[handle];
  if (!link) endSession(session, "amqp:session:unattached-handle", `No link has the handle ${handle}.`);
  return link;
}

/**
 * Gives the link a name of our own. Handles tell links apart, but rhea goes by their names. To rhea a sender
 * and a receiver of one name would be the same link, and so would a link that ends and its successor.
 */
function attach(session: RheaSession, frame: Frame, number: number): void {
  const { name, handle, role, initial_delivery_count } = frame.performative;
  if (session.remote.handles[handle]) {
    endSession(session, "amqp:session:handle-in-use", `The handle ${handle} is in use.`);
    return;
  }
  if (handle > HANDLE_MAX) {
    const description = `The handle ${handle} is above ${HANDLE_MAX}.`;
    session.connection.close({ condition: "amqp:connection:framing-error", description });
    return;
  }
  const key = `${number} ${name}`;
  const link = role ? session.create_sender(key) : session.create_receiver(key);
  link.local.attach.name = name;
  session.remote.handles[handle] = link;
  if (!role) link.delivery_count = initial_delivery_count ?? 0;
  else drainOnce(link as RheaSender);
  link.on_attach(frame);
}

/**
 * Answers a detach that doesn't close with one that doesn't (AMQP 1.0 §2.6.6). Here nothing of the link is
 * kept.
 */
function suspend(link: RheaLink): void {
  link.detach();
  setImmediate(() => link.remove());
}

/** Answers each drain with one flow, whether there was credit to give back or not (AMQP 1.0 §2.6.7). */
function drainOnce(link: RheaSender): void {
  let drained = false;
  link.set_drained = (isDrained) => {
    drained = isDrained;
    if (drained) answerFlow(link.session, link);
  };
  link._get_drain = () => {
    if (!drained || !link._draining) return false;
    drained = link._draining = false;
    link.delivery_count = (link.delivery_count + link.credit) % UINT;
    link.credit = 0;
    return true;
  };
}

/** Writes the flow after rhea has written what was opened in this tick. */
function answerFlow(session: RheaSession, link: RheaLink | undefined): void {
  if (link) {
    link.issue_flow = true;
    session.connection._register();
  } else process.nextTick(() => session._write_flow());
}

function transfer(session: RheaSession, link: RheaLink, frame: Transfer, take: () => void): void {
  const { aborted, settled } = frame.performative;
  if (!link._incomplete && link.credit <= 0 && link.is_open()) {
    const description = "A message came without credit for it.";
    link.close({ condition: "amqp:link:transfer-limit-exceeded", description });
  }
  // Any of the transfers of a delivery may say that it is settled (AMQP 1.0 §2.7.5).
  if (link._incomplete && settled) link._incomplete.remote_settled = true;
  frame.payload ??= NO_BYTES;
  if (!link.is_open()) discard(session, link, frame);
  else if (aborted) abort(session, link, frame);
  else take();
  // Numbers start again at zero after 2^32 - 1 (AMQP 1.0 §2.8.10), and some clients begin close to it.
  link.delivery_count %= UINT;
  session.incoming.next_delivery_id = (session.incoming.next_delivery_id ?? 0) % UINT;
}

/** Counts and drops a transfer that was on its way when we detached its link (AMQP 1.0 §2.6.5). */
function discard(session: RheaSession, link: RheaLink, frame: Transfer): void {
  const { delivery_id } = frame.performative;
  session.incoming.next_transfer_id += 1;
  if (isNumber(delivery_id)) session.incoming.next_delivery_id = delivery_id + 1;
  if (link._incomplete) link._incomplete.settled = true;
  link._incomplete = undefined;
}

/** An aborted delivery counts as settled, and the bytes that came of it are dropped (AMQP 1.0 §2.7.5). */
function abort(session: RheaSession, link: RheaLink, frame: Transfer): void {
  discard(session, link, frame);
  link.credit -= 1;
  link.delivery_count += 1;
}
