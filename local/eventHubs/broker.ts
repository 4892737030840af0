import type { Hub } from "./hubs.js";
import type { SendingLink } from "./ingress.js";
import type { RheaLink } from "./rhea.js";
import type { Claims, Keys } from "./sas.js";

/** The limit of Event Hubs for an event and for a batch, in bytes. */
export const MAX_MESSAGE_BYTES = 1_048_576;

/** What all connections share. */
export interface Broker {
  readonly hubs: ReadonlyMap<string, Hub>;
  readonly keys: Keys;
  readonly log: (level: "info" | "warn" | "error", text: string) => void;
  /** Links of idempotent producers, to tell one that a newer epoch has taken over. */
  readonly numbered: Set<SendingLink>;
}

/** What one connection has. */
export interface Peer {
  readonly broker: Broker;
  readonly claims: Claims;
}

/** An error for a peer, as AMQP has them (AMQP 1.0 §2.8.14). */
export interface AmqpError {
  readonly condition: string;
  readonly description: string;
}

/** Thrown while a link attaches: the link is detached with it. */
export class Refusal extends Error {
  readonly condition: string;
  constructor(condition: string, description: string) {
    super(description);
    this.condition = condition;
  }
}

/** Every refusal of the service that says "there is no such thing". */
export function notFound(entity: string): Refusal {
  return new Refusal("amqp:not-found", `The messaging entity '${entity}' could not be found.`);
}

/** The refusal of something that no claim, or none that still holds, covers. */
export function unauthorized(entity: string): Refusal {
  return new Refusal(
    "amqp:unauthorized-access",
    `Unauthorized access. No valid claim for '${entity}': send a token for it to $cbs first.`,
  );
}

/** Symbols arrive as one value or as an array (AMQP 1.0 §1.3, "multiple"). */
export function hasCapability(link: RheaLink, name: string): boolean {
  return [link.desired_capabilities ?? []].flat().some((each) => String(each) === name);
}

/** A number in a link's properties; undefined when absent or null. */
export function numberProperty(link: RheaLink, name: string): number | undefined {
  const value = link.properties?.[name];
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Refusal("amqp:invalid-field", `'${name}' must be an integer`);
  return number;
}
