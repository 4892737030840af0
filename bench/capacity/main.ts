/** Reckons what a deployment needs and costs: `npm run capacity -- --help`. Exits with 1 where it can't be. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../local/settings.js";
import { readCalls, readPrices } from "./data.js";
import { filled } from "./document.js";
import { help, readOptions } from "./options.js";
import { planOf } from "./plan.js";
import { asTable, asText } from "./text.js";

const DOCUMENTS = ["docs/capacity.md", "docs/deploy.md"].map((path) => join(projectRoot, path));

function main(args: readonly string[]): number {
  const { input, form, wantsHelp } = readOptions(args);
  if (wantsHelp) {
    console.log(help());
    return 0;
  }
  if (form === "documents") {
    for (const path of DOCUMENTS) writeFileSync(path, filled(readFileSync(path, "utf8")));
    return 0;
  }
  const [calls, prices] = [readCalls(), readPrices()];
  const plan = planOf(input, calls, prices);
  if (form === "json") console.log(JSON.stringify(plan, null, 2));
  else if (form === "table") console.log(asTable(["needed"], [plan]));
  else console.log(asText(plan, calls, prices));
  for (const problem of plan.problems) console.error(`It can't be built like this. ${problem}`);
  return plan.problems.length > 0 ? 1 : 0;
}

try {
  const args = process.argv.slice(2);
  // npm's own "--" comes along (package.json).
  process.exitCode = main(args[0] === "--" ? args.slice(1) : args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
