import { readFileSync } from "node:fs";
import { z } from "zod";

const Resource = z.looseObject({
  id: z.string(),
  type: z.string(),
  name: z.string(),
  apiVersion: z.string(),
  kind: z.string().optional(),
  sku: z.record(z.string(), z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
});
const Snapshot = z.looseObject({
  predictedResources: z.array(Resource),
  diagnostics: z.array(z.unknown()),
  outputs: z.record(z.string(), z.unknown()).default({}),
});

export type Resource = z.infer<typeof Resource>;
export type Snapshot = z.infer<typeof Snapshot>;

/** The sizes whose snapshots are kept: one on passwords in public, one on identities in a private network. */
export const SIZES = ["dev", "prod"] as const;
export type Size = (typeof SIZES)[number];

/** What a deployment of this size, or that after the code, would make, as the compiler has evaluated it. */
export function snapshotOf(name: Size | "webPubSubHub"): Snapshot {
  return Snapshot.parse(JSON.parse(readFileSync(`infra/${name}.snapshot.json`, "utf8")));
}

/** The resources of a type. */
export const ofType = ({ predictedResources }: Snapshot, type: string): Resource[] =>
  predictedResources.filter((resource) => resource.type.toLowerCase() === type.toLowerCase());

/** The only resource of a type. Throws where there are none or several. */
export function theOnly(snapshot: Snapshot, type: string): Resource {
  const [resource, ...others] = ofType(snapshot, type);
  if (!resource || others.length > 0)
    throw new Error(`There are ${others.length + (resource ? 1 : 0)} ${type}.`);
  return resource;
}

/** What stands at a path of names, or undefined. */
export const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (part, name) => (isRecord(part) || Array.isArray(part) ? Reflect.get(part, name) : undefined),
    value,
  );

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Every text in a value, with the path to it. */
export function textsOf(value: unknown, path = ""): [path: string, text: string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => textsOf(part, `${path}/${name}`));
}

/** The app settings by name. */
export function settingsOf(snapshot: Snapshot): Record<string, string> {
  const settings = z
    .array(z.object({ name: z.string(), value: z.string() }))
    .parse(at(theOnly(snapshot, "Microsoft.Web/sites"), "properties", "siteConfig", "appSettings"));
  return Object.fromEntries(settings.map(({ name, value }) => [name, value]));
}

/** A snapshot's text with resources in the order of their ids, and outputs in that of their names. */
export function sortedSnapshot(text: string): string {
  const snapshot = Snapshot.parse(JSON.parse(text));
  const by = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
  const predictedResources = [...snapshot.predictedResources].sort((one, other) => by(one.id, other.id));
  const outputs = Object.fromEntries(
    Object.entries(snapshot.outputs).sort(([one], [other]) => by(one, other)),
  );
  return `${JSON.stringify({ ...snapshot, predictedResources, outputs }, null, 2)}\n`;
}
