import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FolderWatch } from "./watch.js";

let root: string;
let told: number;
let watch: FolderWatch;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "nonstop-watch-"));
  for (const folder of ["shared/deep", "shared/dist", "shared/node_modules", "docs"])
    mkdirSync(join(root, folder), { recursive: true });
  told = 0;
  watch = new FolderWatch(root, ["shared", "missing"], () => {
    told += 1;
    // As the caller does, who looks at the files then.
    watch.refresh();
  });
});
afterEach(() => {
  watch.close();
  rmSync(root, { recursive: true, force: true });
});

const write = (name: string, text = "1") => writeFileSync(join(root, name), text);

/** Resolves when the present burst has been told and nothing more comes. */
async function settled(): Promise<number> {
  await expect.poll(() => told).toBeGreaterThan(0);
  await sleep(500);
  return told;
}

describe("a watched folder", () => {
  test.each(["shared/a.ts", "shared/deep/b.ts", "host.json"])("tells of %s", async (name) => {
    write(name);
    expect(await settled()).toBeGreaterThan(0);
  });

  test("tells of what an editor puts into the place of a file", async () => {
    write("shared/a.ts.new");
    await settled();
    told = 0;
    renameSync(join(root, "shared/a.ts.new"), join(root, "shared/a.ts"));
    expect(await settled()).toBeGreaterThan(0);
  });

  test("tells of files in folders that came later", async () => {
    mkdirSync(join(root, "shared/later"));
    await settled();
    told = 0;
    write("shared/later/c.ts");
    await settled();
    mkdirSync(join(root, "missing/more"), { recursive: true });
    await settled();
    told = 0;
    write("missing/more/d.ts");
    await settled();
  });

  test("tells once of many quick saves", async () => {
    for (let round = 0; round < 20; round += 1)
      for (const name of ["shared/a.ts", "shared/deep/b.ts"]) write(name, `${round}`);
    expect(await settled()).toBe(1);
  });

  test("tells of saves that never end, too", async () => {
    let isOver = false;
    const saving = (async () => {
      for (let round = 0; !isOver; round += 1) {
        write("shared/a.ts", `${round}`);
        await sleep(20);
      }
    })();
    await expect.poll(() => told).toBeGreaterThan(0);
    isOver = true;
    await saving;
  });

  test("tells nothing of what is made or installed, nor of other folders, nor once it is closed", async () => {
    write("shared/dist/a.js");
    write("shared/node_modules/a.js");
    write("docs/a.md");
    await sleep(600);
    watch.close();
    write("shared/a.ts");
    await sleep(600);
    expect(told).toBe(0);
  });
});
