/**
 * Makes a fresh clone ready and then runs one of the project's commands, so that each works at once:
 *
 *   node local/setup.mjs start|dev|test|unit|watch|token|bench|chaos|run|build [-- ARGUMENT...]
 *
 * start   the whole system on this machine      dev    the same, with what changes built and restarted
 * test    all tests, or those of the arguments  token  prints an access token
 * unit    the unit tests                        watch  them again whenever a file changes
 * bench   [NAME], a measurement, or all         run    SCRIPT ARGUMENT..., any script
 * chaos   breaks a stack and checks it         build  nothing more
 *
 * This file only checks Node's version, in syntax that old versions understand too. Old versions can't even parse
 * the other files.
 */
import { pathToFileURL } from "node:url";

/** Throws advice unless this version is one that Vite and Vitest take: the least of each line is named here. */
export function requireNode(version, platform) {
  const [major, minor] = version.split(".").map(Number);
  const least = { 20: 19, 22: 12 }[major];
  const reason =
    platform === "win32"
      ? "this runs on Linux and macOS. On Windows use WSL: see README.md, Two commands"
      : `Node 20.19, 22.12 or 24, or later ones of these, is needed, this is ${version}: install a newer one (https://nodejs.org)`;
  if (platform === "win32" || !(major >= 24 || minor >= least)) throw new Error(reason);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    requireNode(process.versions.node, process.platform);
    import("./setupCommands.mjs").then(({ runCommand }) => runCommand(process.argv.slice(2)));
  } catch (error) {
    console.error(`setup: ${error.message}`);
    process.exitCode = 1;
  }
}
