import { z } from "zod";
import { HUB_NAME } from "./names.js";

/** The three events a service raises by itself; every other event comes from a client. */
export type SystemEvent = "connect" | "connected" | "disconnected";

const eventHandler = z.strictObject({
  urlTemplate: z.string().refine(isHttpTemplate, {
    message: "must be an http(s) URL; {hub} and {event} may stand in its path",
  }),
  userEventPattern: z.string().default("*"),
  systemEvents: z.array(z.enum(["connect", "connected", "disconnected"])).default([]),
});

const hub = z.strictObject({
  anonymousConnectPolicy: z.enum(["allow", "deny"]).default("deny"),
  eventHandlers: z.array(eventHandler).default([]),
  // 1 to 120 is what the service takes for this setting.
  webSocketKeepAliveIntervalInSeconds: z.number().min(1).max(120).default(30),
});

const hubName = z.string().regex(HUB_NAME, "is not a hub name");

/** The identity that the service has in Entra ID: what it says of itself in upstream calls, by tokens that this server issues. */
const managedIdentity = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  objectId: z.string().min(1),
  /** What an application that asks for tokens must have in `IDENTITY_HEADER`. */
  identityHeader: z.string().min(1).default("local-use-only"),
});

function areDifferent(hubs: object): boolean {
  const names = Object.keys(hubs);
  return new Set(names.map((name) => name.toLowerCase())).size === names.length;
}

/** Also when other fields are wrong, so that all are named together. */
function isObject({ value }: { value: unknown }): boolean {
  return typeof value === "object" && value !== null;
}

const config = z
  .strictObject({
    accessKeys: z.array(z.string().min(1)).max(2).default([]),
    hubs: z.record(hubName, hub).refine(areDifferent, "hub names differ in more than their case"),
    managedIdentity: managedIdentity.optional(),
    /** Access keys don't count: calls by REST need an Entra token, and upstream calls have no `ce-signature`. */
    disableLocalAuth: z.boolean().default(false),
  })
  .refine(({ accessKeys, disableLocalAuth }) => disableLocalAuth === true || accessKeys?.length !== 0, {
    path: ["accessKeys"],
    error: "must hold a key, unless disableLocalAuth is true",
    when: isObject,
  })
  .refine(({ managedIdentity: identity, disableLocalAuth }) => disableLocalAuth !== true || identity, {
    path: ["managedIdentity"],
    error: "is needed when disableLocalAuth is true",
    when: isObject,
  });

/** What a caller writes; everything but keys and hub names may be left out. */
export type ConfigInput = z.input<typeof config>;
export type Config = z.output<typeof config>;
export type HubConfig = Config["hubs"][string];
export type EventHandler = HubConfig["eventHandlers"][number];

/** Checks a configuration and fills in the defaults; throws one Error that names every wrong field. */
export function parseConfig(input: unknown): Config {
  const parsed = config.safeParse(input);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(
    (issue) => `${issue.path.join(".") || "configuration"}: ${issue.message}`,
  );
  throw new Error(`The configuration is not usable. ${faults.join("; ")}`);
}

function isHttpTemplate(template: string): boolean {
  try {
    const url = new URL(template.replaceAll("{hub}", "hub").replaceAll("{event}", "event"));
    return url.protocol === "http:" || url.protocol === "https:";
  } catch {
    return false;
  }
}
