import { z } from "zod";

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

const hubName = z.string().regex(/^[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}$/, "is not a hub name");

const config = z.strictObject({
  accessKeys: z.array(z.string().min(1)).min(1).max(2),
  hubs: z.record(hubName, hub),
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
