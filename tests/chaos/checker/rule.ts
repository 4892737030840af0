import type { Proofs } from "./proofs.js";
import type { Run } from "./run.js";

/** What is wrong by one rule, a sentence each; nothing where all is right. */
export type Rule = (run: Run, proofs: Proofs) => string[];
