/** What a formula may call besides + - * / and brackets. */
const FUNCTIONS: Readonly<Record<string, (...values: number[]) => number>> = {
  ceil: Math.ceil,
  max: Math.max,
  min: Math.min,
  exp: Math.exp,
  unitSize,
  partitionCount,
};

/** Numbers by name. */
export type Values = Readonly<Record<string, number>>;

const TOKENS = /\s*([A-Za-z]\w*|\d+(?:\.\d+)?|[-+*/(),])/y;

/**
 * Computes a formula such as `ceil(online / 800)`. Throws where it is malformed, or names what is not there.
 * The text that is computed is the text that is shown, so what is shown is true.
 */
export function evaluate(formula: string, values: Values): number {
  const tokens = tokensOf(formula);
  let at = 0;
  const next = (): string => tokens[at++] ?? fail(formula, "it ends too early");
  const take = (token: string): void => {
    if (next() !== token) fail(formula, `${token} is missing`);
  };

  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") value += next() === "+" ? product() : -product();
    return value;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === "*" || tokens[at] === "/") value = next() === "*" ? value * atom() : value / atom();
    return value;
  };
  const atom = (): number => {
    const token = next();
    if (token === "-") return -atom();
    if (token === "(") return inBrackets();
    if (/^\d/.test(token)) return Number(token);
    return tokens[at] === "(" ? call(token) : (values[token] ?? fail(formula, `${token} is not known`));
  };
  const inBrackets = (): number => {
    const value = sum();
    take(")");
    return value;
  };
  const call = (name: string): number => {
    const work = FUNCTIONS[name] ?? fail(formula, `there is no ${name}`);
    take("(");
    const args = [sum()];
    while (tokens[at] === ",") {
      at += 1;
      args.push(sum());
    }
    take(")");
    return work(...args);
  };

  const value = sum();
  if (at < tokens.length) fail(formula, `${tokens[at]} is one too many`);
  return value;
}

/** The formula with numbers in the place of names. */
export const withNumbers = (formula: string, values: Values): string =>
  formula.replace(/[A-Za-z]\w*/g, (name) => (name in values ? shown(values[name]!) : name));

/** A number as people read it: three digits that count, and all digits of a large one. */
export function shown(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 6;
  return value.toLocaleString("en-US", {
    maximumFractionDigits: digits,
    maximumSignificantDigits: undefined,
  });
}

function tokensOf(formula: string): readonly string[] {
  const tokens: string[] = [];
  TOKENS.lastIndex = 0;
  while (TOKENS.lastIndex < formula.length) {
    const from = TOKENS.lastIndex;
    const token = TOKENS.exec(formula)?.[1];
    if (token === undefined) fail(formula, `${JSON.stringify(formula.slice(from))} can't be read`);
    tokens.push(token as string);
  }
  return tokens;
}

function fail(formula: string, why: string): never {
  throw new Error(`the formula ${JSON.stringify(formula)} is wrong: ${why}`);
}

/** The smallest number of units that Web PubSub has: 1 to 10, then tens to 100, then hundreds. */
export function unitSize(least: number): number {
  const step = least <= 10 ? 1 : least <= 100 ? 10 : 100;
  return Math.max(1, Math.ceil(least / step) * step);
}

/** A usual number of partitions. They can't be added later, so powers of two leave room. */
export function partitionCount(least: number): number {
  return [4, 8, 16].find((count) => count >= least) ?? 32;
}
