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
  // The service accepts 1 to 120 for this setting.
  webSocketKeepAliveIntervalInSeconds: z.number().min(1).max(120).default(30),
});

const hubName = z.string().regex(HUB_NAME, "is not a hub name");

/** The service's identity in Entra ID. Upstream calls carry tokens of it that this server issues. */
const managedIdentity = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  objectId: z.string().min(1),
  /** The value that an application must have in `IDENTITY_HEADER` when it asks for tokens. */
  identityHeader: z.string().min(1).default("local-use-only"),
});

function areDifferent(hubs: object): boolean {
  const names = Object.keys(hubs);
  return new Set(names.map((name) => name.toLowerCase())).size === names.length;
}

/** Checked even when other fields are wrong, so that the error names all of them together. */
function isObject({ value }: { value: unknown }): boolean {
  return typeof value === "object" && value !== null;
}

const config = z
  .strictObject({
    accessKeys: z.array(z.string().min(1)).max(2).default([]),
    hubs: z.record(hubName, hub).refine(areDifferent, "hub names differ in more than their case"),
    managedIdentity: managedIdentity.optional(),
    /**
     * True: access keys don't count. REST calls need an Entra token, and upstream calls have no
     * `ce-signature`.
     */
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

/** A configuration as its author writes it: everything but keys and hub names may be missing. */
export type ConfigInput = z.input<typeof config>;
export type Config = z.output<typeof config>;
export type HubConfig = Config["hubs"][string];
export type EventHandler = HubConfig["eventHandlers"][number];

/** Checks a configuration and fills in the defaults. Throws one Error that names every wrong field. */
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
