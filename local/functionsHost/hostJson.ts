import { readFileSync } from "node:fs";

export type Json = { [key: string]: unknown };

export type Reader = ReturnType<typeof reader>;

/** Reads a file that holds one JSON object; errors name the file. */
export function readJson(file: string): Json {
  let value: unknown;
  try {
    // A byte order mark, which some editors write, is not valid JSON.
    value = JSON.parse(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isObject(value)) throw new Error(`${file} must hold one JSON object`);
  return value;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads settings by their paths, as `a.b`; each of them names `file` and the path when a value is wrong. */
export function reader(root: Json, file: string) {
  const find = (path: string): unknown =>
    path.split(".").reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), root);
  const fail = (path: string, value: unknown, wanted: string): never => {
    throw new Error(`${file}: ${path} is ${JSON.stringify(value)} but must be ${wanted}`);
  };
  return {
    fail,
    find,
    text(path: string, otherwise: string): string {
      const value = find(path) ?? otherwise;
      return typeof value === "string" ? value : fail(path, value, "a string");
    },
    count(path: string, otherwise: number, least: number): number {
      const value = Number(find(path) ?? otherwise);
      if (Number.isInteger(value) && value >= least) return value;
      return fail(path, find(path), `a whole number of at least ${least}`);
    },
    /** `undefined` when the file doesn't say. */
    flag(path: string): boolean | undefined {
      const value = find(path);
      if (value === undefined || typeof value === "boolean") return value;
      // Settings of the environment are text.
      if (/^(true|false)$/i.test(String(value))) return /^true$/i.test(String(value));
      return fail(path, value, "true or false");
    },
    /** Milliseconds of `hh:mm:ss` or `d.hh:mm:ss`; `undefined` for `-1`, which means no limit. */
    duration(path: string, otherwise: number): number | undefined {
      const value = find(path);
      if (value === undefined) return otherwise;
      if (String(value) === "-1") return undefined;
      const match = /^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(\.\d{1,7})?$/.exec(String(value));
      if (!match) return fail(path, value, 'a time like "00:05:00"');
      const [days, hours, minutes, seconds, fraction] = match.slice(1).map((part) => Number(part ?? 0));
      return (((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds! + fraction!) * 1000;
    },
  };
}
