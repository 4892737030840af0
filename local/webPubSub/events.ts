import { createHmac } from "node:crypto";
import type { EventHandler, HubConfig, SystemEvent } from "./config.js";
import type { Stop } from "./stop.js";
import type { Target, Upstream, UpstreamAnswer } from "./upstream.js";

/** Where each event of one hub goes: the first handler that lists it, as in the service. */
export class EventRoutes {
  readonly #hub: string;
  readonly #handlers: readonly EventHandler[];
  readonly #targets = new Map<string, Target | undefined>();

  constructor(hub: string, config: HubConfig) {
    this.#hub = hub;
    this.#handlers = config.eventHandlers;
  }

  /**
   * The URL for a system event (`sys`) or a client's own event (`user`). Undefined when no handler wants it.
   */
  find(kind: "sys" | "user", name: string): Target | undefined {
    const key = `${kind}.${name}`;
    if (!this.#targets.has(key)) this.#targets.set(key, this.#resolve(kind, name));
    return this.#targets.get(key);
  }

  #resolve(kind: "sys" | "user", name: string): Target | undefined {
    const handler = this.#handlers.find((candidate) =>
      kind === "sys"
        ? candidate.systemEvents.includes(name as SystemEvent)
        : patternMatches(candidate.userEventPattern, name),
    );
    if (!handler) return undefined;
    const fill = (event: string) =>
      new URL(
        handler.urlTemplate.replaceAll("{hub}", this.#hub).replaceAll("{event}", encodeURIComponent(event)),
      );
    return { url: fill(name), validationUrl: fill("validate") };
  }
}

function patternMatches(pattern: string, name: string): boolean {
  const parts = pattern.split(",").map((part) => part.trim().toLowerCase());
  return parts.includes("*") || parts.includes(name.toLowerCase());
}

/**
 * The headers of a connection that prove to a handler that its events come from the service. Made for each
 * event.
 */
export type Proof = (connectionId: string) => () => readonly string[];

/** `ce-signature`: one HMAC-SHA256 of the connection's id for each access key, primary first. */
export function signatures(accessKeys: readonly string[]): Proof {
  return (connectionId) => {
    const each = accessKeys.map(
      (key) => `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`,
    );
    const headers = ["ce-signature", each.join(",")];
    return () => headers;
  };
}

const JSON_TYPE = "application/json; charset=utf-8";

export interface EventIdentity {
  readonly hub: string;
  readonly connectionId: string;
  readonly proofs: readonly Proof[];
}

/** The events of one connection: their rising ids, the headers they share, and the connection's state. */
export class ConnectionEvents {
  /** `ce-connectionState` exactly as the handler wrote it last; empty before. */
  state = "";
  readonly #routes: EventRoutes;
  readonly #upstream: Upstream;
  readonly #fixed: readonly string[];
  readonly #proofs: readonly (() => readonly string[])[];
  #known: readonly string[] = [];
  #nextId = 0;

  constructor(routes: EventRoutes, upstream: Upstream, { hub, connectionId, proofs }: EventIdentity) {
    this.#proofs = proofs.map((proof) => proof(connectionId));
    this.#routes = routes;
    this.#upstream = upstream;
    // CloudEvents HTTP binding §3.1: attributes travel as ce- headers, the data as the body.
    this.#fixed = [
      ...["ce-specversion", "1.0", "ce-awpsversion", "1.0"],
      ...["ce-source", `/hubs/${hub}/client/${connectionId}`, "ce-hub", hub, "ce-connectionId", connectionId],
      ...["WebHook-Request-Origin", upstream.origin],
    ];
  }

  /** The user that later events name. `connect` itself may know the user already, from the token. */
  identify(userId: string | undefined, subprotocol: string | undefined): void {
    this.#known = [
      ...(userId === undefined ? [] : ["ce-userId", headerValue(userId)]),
      ...(subprotocol === undefined ? [] : ["ce-subprotocol", subprotocol]),
    ];
  }

  /** Delivers a system event. Undefined when no handler listens to it. */
  system(name: "connected" | "disconnected", body: object): Promise<UpstreamAnswer> | undefined {
    return this.#send("sys", name, JSON_TYPE, Buffer.from(JSON.stringify(body)));
  }

  /**
   * Delivers `connect`, which is given up when `gone` comes. Its id is 0, even where no handler listens to
   * it.
   */
  connect(body: object, gone: Stop): Promise<UpstreamAnswer> | undefined {
    return this.#send("sys", "connect", JSON_TYPE, Buffer.from(JSON.stringify(body)), gone);
  }

  /**
   * Delivers a client's frame as a `message` event until `gone` comes. Undefined when no handler listens to
   * it.
   */
  message(data: Buffer, isBinary: boolean, gone: Stop): Promise<UpstreamAnswer> | undefined {
    const type = isBinary ? "application/octet-stream" : "text/plain; charset=utf-8";
    return this.#send("user", "message", type, data, gone);
  }

  /** The answer to a blocking event replaces the state. Without the header the state stays as it is. */
  takeState(answer: UpstreamAnswer): void {
    const state = answer.headers["ce-connectionstate"];
    if (typeof state === "string") this.state = state;
  }

  #send(kind: "sys" | "user", name: string, contentType: string, body: Buffer, gone?: Stop) {
    const id = String(this.#nextId);
    this.#nextId += 1;
    const target = this.#routes.find(kind, name);
    if (!target) return undefined;
    const headers = [...this.#fixed, ...this.#known];
    for (const proof of this.#proofs) headers.push(...proof());
    headers.push("ce-type", `azure.webpubsub.${kind}.${name}`, "ce-eventName", name);
    headers.push("ce-id", id, "ce-time", new Date().toISOString(), "Content-Type", contentType);
    if (this.state !== "") headers.push("ce-connectionState", this.state);
    return this.#upstream.deliver(target, headers, body, gone);
  }
}

/**
 * HTTP headers hold printable ASCII. Other characters of a user id are percent-encoded (CloudEvents HTTP
 * §3.1.3.2).
 */
function headerValue(value: string): string {
  return value.replace(/[^\x20-\x7e]+/g, (part) => encodeURIComponent(part.toWellFormed()));
}
