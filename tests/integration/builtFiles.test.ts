import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { readScripts } from "../../shared/redis/scripts.js";
import { readMigrations } from "../../shared/store/migrate.js";

const DIST = new URL("../../dist/", import.meta.url).href;

/** What an expression over a built module is, in a process of its own, elsewhere than in the project. */
async function ofBuilt(module: string, expression: string): Promise<unknown> {
  const code = `const it = await import(process.argv[1]); console.log(JSON.stringify(${expression}));`;
  const args = ["--input-type=module", "-e", code, `${DIST}${module}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: "/", maxBuffer: 10_000_000 });
  return JSON.parse(stdout);
}

test("the built app finds its Lua scripts", async () => {
  const scripts = JSON.parse(JSON.stringify(readScripts()));
  expect(await ofBuilt("shared/redis/scripts.js", "it.readScripts()")).toEqual(scripts);
});

test("the built app finds its migrations", async () => {
  expect(await ofBuilt("shared/store/migrate.js", "it.readMigrations()")).toEqual(readMigrations());
});
