import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** Kafka 4 brokers run on Java 17 and later. Source: kafka.apache.org, "Java Version". */
const OLDEST_JAVA = 17;
/** Homebrew links its Java into no folder of the PATH. */
const OTHER_JAVAS = [
  "/opt/homebrew/opt/openjdk/bin/java",
  "/usr/local/opt/openjdk/bin/java",
  "/home/linuxbrew/.linuxbrew/opt/openjdk/bin/java",
];
const INSTALL =
  "install one (Debian: apt-get install openjdk-17-jre-headless, macOS: brew install openjdk) and name it in JAVA_HOME or have it on the PATH";

/** The program `name` of the first folder of the PATH that has it. `undefined` when there is none. */
export function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/**
 * The program of a Java that can run Kafka: that of JAVA_HOME, the first on the PATH, or Homebrew's. Throws
 * advice where there is none, or only older ones.
 */
export async function findJava(env: NodeJS.ProcessEnv): Promise<string> {
  const home = env["JAVA_HOME"];
  const found = [home ? join(home, "bin/java") : "", onPath("java", env) ?? "", ...OTHER_JAVAS];
  const refusals: string[] = [];
  for (const java of new Set(found.filter(isProgram))) {
    const version = await javaVersion(java);
    if (typeof version === "number" && version >= OLDEST_JAVA) return java;
    refusals.push(typeof version === "number" ? `${java} is Java ${version}` : `${java}: ${version}`);
  }
  const there = refusals.length > 0 ? refusals.join(", ") : "no java was found";
  throw new Error(`Kafka needs Java ${OLDEST_JAVA} or later, and ${there}: ${INSTALL}`);
}

/** The major version, or what the program said instead: macOS has a `java` that only tells to install one. */
async function javaVersion(java: string): Promise<number | string> {
  try {
    const { stderr, stdout } = await promisify(execFile)(java, ["-version"], { timeout: 20_000 });
    // `1.8.0_392` before Java 9, `17.0.15` or `25-ea` from then on.
    const version = /version "(?:1\.)?(\d+)/.exec(stderr + stdout)?.[1];
    return version === undefined ? "it does not say its version" : Number(version);
  } catch (error) {
    return (error as Error).message.trim().split("\n").at(-1)!;
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
