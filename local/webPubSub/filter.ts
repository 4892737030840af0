/** What a filter may look at. */
export interface Filterable {
  readonly id: string;
  readonly userId: string | undefined;
  readonly groups: ReadonlySet<string>;
}

export type Filter = (connection: Filterable) => boolean;

/** This server can't evaluate the filter. The message names the position and what is understood. */
export class FilterError extends Error {}

type Value = (connection: Filterable) => string | null;
interface Token {
  readonly kind: "text" | "word" | "punctuation";
  readonly value: string;
  readonly at: number;
}

const MAX_LENGTH = 8192;
const MAX_DEPTH = 64;
const PATTERN = /\s+|'((?:[^']|'')*)'|([A-Za-z_][A-Za-z0-9_]*)|([(),])/y;

/**
 * Compiles the part of OData's $filter (OData 4.01 URL conventions §5.1.1) that picks connections: `userId`
 * and `connectionId` with `eq`, `ne`, `gt`, `ge`, `lt`, `le`, `in (...)`; `'g' in groups`; `startswith`,
 * `endswith`, `contains`; `null`; `and`, `or`, `not` and parentheses. Throws FilterError for everything else.
 */
export function compileFilter(source: string): Filter {
  if (source.length > MAX_LENGTH)
    throw new FilterError(`The filter is longer than ${MAX_LENGTH} characters.`);
  const parser = new Parser(tokenize(source));
  const filter = parser.either(0);
  parser.expectEnd();
  return filter;
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < source.length) {
    const at = PATTERN.lastIndex;
    const match = PATTERN.exec(source);
    if (!match)
      throw new FilterError(`The filter can't be read at position ${at}: "${source.slice(at, at + 20)}".`);
    const [, text, word, punctuation] = match;
    if (text !== undefined) tokens.push({ kind: "text", value: text.replaceAll("''", "'"), at });
    else if (word !== undefined) tokens.push({ kind: "word", value: word, at });
    else if (punctuation !== undefined) tokens.push({ kind: "punctuation", value: punctuation, at });
  }
  return tokens;
}

type Test = (a: string, b: string) => boolean;

const COMPARISONS = new Map<string | undefined, Test>([
  ["gt", (a, b) => a > b],
  ["ge", (a, b) => a >= b],
  ["lt", (a, b) => a < b],
  ["le", (a, b) => a <= b],
]);

const FUNCTIONS = new Map<string | undefined, Test>([
  ["startswith", (a, b) => a.startsWith(b)],
  ["endswith", (a, b) => a.endsWith(b)],
  ["contains", (a, b) => a.includes(b)],
]);

/** Recursive descent, one method a level of precedence: `or` binds loosest, then `and`, then `not`. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  either(depth: number): Filter {
    const terms = [this.#both(depth)];
    while (this.#take("word", "or")) terms.push(this.#both(depth));
    return terms.length === 1 ? terms[0]! : (connection) => terms.some((term) => term(connection));
  }

  expectEnd(): void {
    if (this.#next < this.#tokens.length) this.#fail("the end, or `and` or `or`");
  }

  #both(depth: number): Filter {
    const terms = [this.#single(depth)];
    while (this.#take("word", "and")) terms.push(this.#single(depth));
    return terms.length === 1 ? terms[0]! : (connection) => terms.every((term) => term(connection));
  }

  #single(depth: number): Filter {
    if (depth > MAX_DEPTH) throw new FilterError(`The filter is nested deeper than ${MAX_DEPTH}.`);
    if (this.#take("word", "not")) {
      const term = this.#single(depth + 1);
      return (connection) => !term(connection);
    }
    if (this.#take("punctuation", "(")) {
      const term = this.either(depth + 1);
      this.#expect(")");
      return term;
    }
    const call = FUNCTIONS.get(this.#word());
    return call ? this.#call(call) : this.#comparison();
  }

  #call(test: Test): Filter {
    this.#next += 1;
    this.#expect("(");
    const left = this.#value();
    this.#expect(",");
    const right = this.#value();
    this.#expect(")");
    return (connection) => {
      const [a, b] = [left(connection), right(connection)];
      return a !== null && b !== null && test(a, b);
    };
  }

  #comparison(): Filter {
    const left = this.#value();
    const operator = this.#word();
    const compare = COMPARISONS.get(operator);
    if (!compare && operator !== "in" && operator !== "eq" && operator !== "ne") {
      this.#fail("one of eq, ne, gt, ge, lt, le, in");
    }
    this.#next += 1;
    if (operator === "in") return this.#membership(left);
    const right = this.#value();
    if (!compare) return (connection) => (left(connection) === right(connection)) === (operator === "eq");
    return (connection) => {
      const [a, b] = [left(connection), right(connection)];
      return a !== null && b !== null && compare(a, b);
    };
  }

  #membership(left: Value): Filter {
    if (this.#take("word", "groups")) {
      return (connection) => {
        const name = left(connection);
        return name !== null && connection.groups.has(name);
      };
    }
    this.#expect("(");
    const list = [this.#value()];
    while (this.#take("punctuation", ",")) list.push(this.#value());
    this.#expect(")");
    return (connection) => list.some((item) => item(connection) === left(connection));
  }

  #value(): Value {
    const text = this.#take("text");
    if (text) return () => text.value;
    if (this.#take("word", "userId")) return ({ userId }) => userId ?? null;
    if (this.#take("word", "connectionId")) return ({ id }) => id;
    if (this.#take("word", "null")) return () => null;
    return this.#fail("userId, connectionId, null or a text in single quotes");
  }

  #word(): string | undefined {
    const token = this.#peek();
    return token?.kind === "word" ? token.value : undefined;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #take(kind: Token["kind"], value?: string): Token | undefined {
    const token = this.#peek();
    if (token?.kind !== kind || (value !== undefined && token.value !== value)) return undefined;
    this.#next += 1;
    return token;
  }

  #expect(punctuation: string): void {
    if (!this.#take("punctuation", punctuation)) this.#fail(`"${punctuation}"`);
  }

  #fail(wanted: string): never {
    const token = this.#peek();
    const found = token ? `"${token.value}" at position ${token.at}` : "the end";
    throw new FilterError(`The filter has ${found} where ${wanted} is expected.`);
  }
}
