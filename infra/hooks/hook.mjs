/**
 * The hooks of azure.yaml:
 *
 *   node infra/hooks/hook.mjs preprovision|prepackage|postprovision|predeploy|postdeploy
 *
 * By hand: azd hooks run postprovision, or azd hooks run postdeploy --service api. azd gives them the outputs
 * of the templates as environment variables.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { HookError, run, say } from "./programs.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Packages may be missing before the package is made, so what needs them is loaded late. */
const HOOKS = {
  preprovision: async (env) => (await import("./prepare.mjs")).prepare(env),
  prepackage: makePackage,
  postprovision: (env) => database(env, { isOptional: true }),
  predeploy: (env) => database(env),
  postdeploy: async (env) => (await import("./release.mjs")).release(env),
};

/** It installs this project's packages, too, where they are missing. */
async function makePackage() {
  say(await run(process.execPath, ["local/package.mjs"]));
}

async function database(env, options) {
  if (env.SKIP_DATABASE === "true") return say("the database is left as it is, as SKIP_DATABASE=true says");
  const { databaseHook } = await import("./database.mjs").catch(async () => {
    await makePackage();
    return import("./database.mjs");
  });
  await databaseHook(env, ROOT, options);
}

async function main(name) {
  const hook = Object.hasOwn(HOOKS, name ?? "") ? HOOKS[name] : undefined;
  if (!hook) throw new HookError(`the hook must be one of ${Object.keys(HOOKS).join(", ")}`);
  process.chdir(ROOT);
  await hook(process.env);
}

main(process.argv[2]).then(
  () => process.exit(0),
  (error) => {
    say(`${process.argv[2] ?? ""} failed: ${error instanceof HookError ? error.message : error.stack}`);
    process.exit(1);
  },
);
