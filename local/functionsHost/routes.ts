/** Route templates as ASP.NET Core reads them, as far as HTTP triggers use them. */

interface Segment {
  readonly literal?: string;
  readonly name: string;
  readonly rest: boolean;
  readonly optional: boolean;
  readonly tests: readonly RegExp[];
}

interface Route<T> {
  readonly segments: readonly Segment[];
  readonly methods: ReadonlySet<string>;
  readonly target: T;
}

export interface RouteMatch<T> {
  readonly target: T;
  readonly params: Record<string, string>;
}

const CONSTRAINTS: Record<string, RegExp> = {
  int: /^[+-]?\d{1,10}$/,
  long: /^[+-]?\d{1,19}$/,
  guid: /^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$/i,
  alpha: /^[a-z]*$/i,
  bool: /^(?:true|false)$/i,
  double: /^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i,
  decimal: /^[+-]?\d+(?:\.\d+)?$/,
  required: /./s,
};

/**
 * A table of routes. The first added route that fits wins, even a parameter before a literal, as in the real
 * host.
 */
export class RouteTable<T> {
  readonly #routes: Route<T>[] = [];

  /**
   * Adds `template` (like `rooms/{id:int}/{*rest}`) for some methods. Throws when it cannot be understood.
   */
  add(template: string, methods: readonly string[], target: T): void {
    const segments = split(template).map((text) => parseSegment(text, template));
    if (segments.slice(0, -1).some((segment) => segment.rest || segment.optional))
      throw new Error(`route "${template}": only the last segment can be optional or take the rest`);
    const upper = new Set(methods.map((method) => method.toUpperCase()));
    this.#routes.push({ segments, methods: upper, target });
  }

  /** The route for a request's path (decoded, without query). `undefined` when none fits. */
  find(method: string, path: string): RouteMatch<T> | undefined {
    const parts = split(path);
    for (const route of this.#routes) {
      if (!route.methods.has(method)) continue;
      const params = match(route.segments, parts);
      if (params) return { target: route.target, params };
    }
    return undefined;
  }
}

function split(path: string): string[] {
  let from = 0;
  let to = path.length;
  if (path[0] === "/") from = 1;
  if (to > from && path[to - 1] === "/") to -= 1;
  return from === to ? [] : path.slice(from, to).split("/");
}

function parseSegment(text: string, template: string): Segment {
  if (!/[{}]/.test(text))
    return { literal: text.toLowerCase(), name: "", rest: false, optional: false, tests: [] };
  const found = /^\{(\*{0,2})(\w+)((?::\w+)*)(\??)\}$/.exec(text);
  if (!found)
    throw new Error(`route "${template}": "${text}" is not understood; use {id}, {id:int}, {id?} or {*rest}`);
  const [, stars, name, tests, optional] = found;
  const names = tests!.split(":").filter(Boolean);
  const unknown = names.find((one) => CONSTRAINTS[one.toLowerCase()] === undefined);
  if (unknown)
    throw new Error(
      `route "${template}": no constraint "${unknown}"; there are ${Object.keys(CONSTRAINTS).join(", ")}`,
    );
  return {
    name: name!,
    rest: stars !== "",
    optional: optional === "?",
    tests: names.map((one) => CONSTRAINTS[one.toLowerCase()]!),
  };
}

function match(segments: readonly Segment[], parts: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  const last = segments[segments.length - 1];
  if (parts.length > segments.length && !last?.rest) return undefined;
  for (let i = 0; i < segments.length; i += 1) {
    const segment = segments[i]!;
    const value = segment.rest ? parts.slice(i).join("/") : parts[i];
    if (segment.literal !== undefined) {
      if (value === undefined || value.toLowerCase() !== segment.literal) return undefined;
    } else if (value === undefined || value === "") {
      if (!segment.optional && !segment.rest) return undefined;
    } else {
      if (!segment.tests.every((test) => test.test(value))) return undefined;
      params[segment.name] = value;
    }
  }
  return params;
}
