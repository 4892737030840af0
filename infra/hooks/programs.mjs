/** Runs other programs for the hooks. Plain JavaScript without packages. */
import { spawn } from "node:child_process";

const TIMEOUT_MS = 15 * 60_000;
const KEPT_CHARACTERS = 2_000;

/** Somebody can do something about this error. Its message is shown without a stack trace. */
export class HookError extends Error {}

export const say = (line) => console.error(`hook: ${line}`);

/** Why the hook is to end early: a Ctrl+C, or whoever ends azd. Throws for what waits for it. */
export const stopped = new Promise((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => reject(new HookError(`stopped by ${signal}`)));
});
stopped.catch(() => {});

/**
 * Runs a program and resolves with what it prints. Throws the end of what it says on stderr when it fails. A
 * `sheltered` program is not reached by a Ctrl+C of the terminal.
 */
export function run(program, args, { timeoutMs = TIMEOUT_MS, sheltered = false } = {}) {
  return new Promise((resolve, reject) => {
    const [file, given, options] = spawnable(program, args);
    const child = spawn(file, given, { stdio: ["ignore", "pipe", "pipe"], detached: sheltered, ...options });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let [out, said] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-KEPT_CHARACTERS);
    });
    child.once("error", ({ code }) =>
      reject(
        new HookError(code === "ENOENT" ? `${program} was not found: install it` : `${program}: ${code}`),
      ),
    );
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(out.trim());
      else
        reject(
          new HookError(
            `${program} ${args.slice(0, 3).join(" ")} failed (${signal ?? code}): ${said.trim()}`,
          ),
        );
    });
  });
}

/** On Windows `az` is a batch file, which only a shell runs, and Node quotes nothing for a shell. */
function spawnable(program, args) {
  if (process.platform !== "win32" || program === process.execPath) return [program, args, {}];
  return [program, args.map((arg) => (/[\s&|<>^]/.test(arg) ? `"${arg}"` : arg)), { shell: true }];
}

/** Azure's command line; resolves with what it prints. */
export const az = (args, options) => run("az", [...args, "--only-show-errors"], options);

/** Deploys a template into a resource group. `values` are its parameters, each as NAME=VALUE. */
export const deployTemplate = (group, name, file, values) =>
  az([
    ...["deployment", "group", "create", "--resource-group", group, "--name", name],
    ...["--template-file", file, "--parameters", ...values, "--output", "none"],
  ]);

/** Azure's answer as JSON. */
export async function azJson(args, options) {
  const answer = await az([...args, "--output", "json"], options);
  try {
    return answer === "" ? undefined : JSON.parse(answer);
  } catch {
    throw new HookError(`az ${args.slice(0, 3).join(" ")} did not answer in JSON: ${answer.slice(0, 200)}`);
  }
}

/**
 * Tries again what fails for the reasons in `passing`, unless for one of those in `lasting`, `times` times at
 * most. Throws the last failure. A `sheltered` one goes on where the hook is to end early. `HOOK_PAUSE_MS`
 * replaces the pauses.
 */
export async function patiently(work, { passing, lasting, times, pauseMs, what, sheltered = false }) {
  const passes = ({ message }) => passing.test(message) && !lasting?.test(message);
  for (let left = times; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      if (left <= 1 || !passes(error)) throw error;
      say(`${what}: not yet (${error.message.split("\n")[0]}), trying again...`);
      const pause = new Promise((resolve) =>
        setTimeout(resolve, Number(process.env.HOOK_PAUSE_MS ?? pauseMs)),
      );
      await (sheltered ? pause : Promise.race([pause, stopped]));
    }
  }
}
