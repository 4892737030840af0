import type { CheckJwt } from "./entra.js";
import type { Hub } from "./hubs.js";
import { Refusal } from "./refusals.js";
import type { RheaLink } from "./rhea.js";
import type { Claims, Keys } from "./sas.js";

/** The limit of Event Hubs for an event and for a batch, in bytes. */
export const MAX_MESSAGE_BYTES = 1_048_576;

/** The part of the server that all connections share. */
export interface Broker {
  readonly hubs: ReadonlyMap<string, Hub>;
  readonly keys: Keys;
  readonly checkJwt: CheckJwt;
  readonly log: (level: "info" | "warn" | "error", text: string) => void;
}

/** The part of one connection that its links need. */
export interface Peer {
  readonly broker: Broker;
  readonly claims: Claims;
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
