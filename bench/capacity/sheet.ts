import { evaluate, type Values, withNumbers } from "./formula.js";

/** What is computed, in the order in which it is: each may use all before it. */
export interface Rule {
  readonly name: string;
  readonly formula: string;
  readonly unit: string;
  readonly what: string;
}

/** A rule with its result. */
export interface Step extends Rule {
  readonly numbers: string;
  readonly value: number;
}

export interface Sheet {
  readonly steps: readonly Step[];
  readonly values: Values;
}

/** Makes a rule of its columns. */
export const rule = (name: string, formula: string, unit: string, what: string): Rule => ({
  name,
  formula,
  unit,
  what,
});

/** Computes rules one after the other, from numbers that are there and those of the rules before. */
export function compute(rules: readonly Rule[], given: Values): Sheet {
  const values: Record<string, number> = { ...given };
  const steps = rules.map((each) => {
    const value = evaluate(each.formula, values);
    const step = { ...each, numbers: withNumbers(each.formula, values), value };
    values[each.name] = value;
    return step;
  });
  return { steps, values };
}
