/**
 * Makes what is deployed: the folder `dist/package`, and the same as `dist/package.zip`. Prints its size, and
 * fails where it is larger than it should ever be. `npm run package`; the hooks of `azure.yaml` call it, too.
 *
 * It is a program of its own and no command of `setup.mjs`, because `azd` calls it on Windows, too.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { listPackage, stagePackage } from "./packageStage.mjs";
import { install, isInstalled } from "./setupBuild.mjs";
import { SetupError, say, withLock } from "./setupLock.mjs";
import { interruptible } from "./setupRun.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDER = join(ROOT, "dist/package");
const ZIP = `${FOLDER}.zip`;
/** An instance unpacks it as it starts, while a client waits. */
const MAX_ZIP_BYTES = 25_000_000;
/** A zip file has no time zone: this is the same everywhere. Its times begin here. */
const SAME_DAY = new Date(1980, 0, 1);

async function main() {
  await interruptible(() =>
    withLock(join(ROOT, ".local-setup"), async () => {
      if (!isInstalled(ROOT)) await install(ROOT);
      await stagePackage(ROOT, FOLDER);
    }),
  );
  const files = listPackage(FOLDER);
  const bytes = await zip(files);
  const unpacked = files.reduce((sum, file) => sum + statSync(join(FOLDER, file)).size, 0);
  const sizes = `${files.length} files, ${megabytes(unpacked)} MB unpacked, ${megabytes(bytes)} MB compressed`;
  console.log(`dist/package.zip: ${sizes}`);
  if (bytes > MAX_ZIP_BYTES)
    throw new SetupError(
      `the package is larger than ${megabytes(MAX_ZIP_BYTES)} MB: look in dist/package for what is not needed`,
    );
}

/** Writes the zip file, the same bytes for the same files, and returns its size. */
async function zip(files) {
  const { zipSync } = await import("fflate");
  const entries = files.map((file) => [file, [readFileSync(join(FOLDER, file)), { mtime: SAME_DAY }]]);
  const content = zipSync(Object.fromEntries(entries), { level: 9 });
  writeFileSync(ZIP, content);
  return content.length;
}

const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode ?? 1;
});
