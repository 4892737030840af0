import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../settings.js";
import { Child } from "./child.js";
import { onPath } from "./kafkaJava.js";

export const KAFKA_VERSION = "4.1.1";
/** The binding of Kafka's logging to Log4j 2, which a distribution has and Kafka's own artifacts don't name. */
const LOG4J_VERSION = "2.24.3";
const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/** As measured: 44 MB of Kafka with all it needs, the rest is Maven's own. */
const FETCHED_MB = 65;
const FETCH_TIMEOUT_MS = 15 * 60_000;
const UNFINISHED = `${KAFKA_VERSION}.unfinished-`;

export interface KafkaFetch {
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
  /** Ends the download. */
  readonly stopping: AbortSignal;
}

/**
 * Kafka's server and its tools from Maven's artifacts, in the user's cache. They are fetched when they are
 * not there, or not whole. Throws what is missing, or what Maven said.
 */
export async function fetchKafka(fetch: KafkaFetch): Promise<{ libs: string; version: string }> {
  const cache = kafkaCache(fetch.env);
  const folder = join(cache, KAFKA_VERSION);
  const found = { libs: join(folder, "libs"), version: KAFKA_VERSION };
  if (isWhole(folder)) return found;
  const maven = onPath("mvn", fetch.env);
  if (maven === undefined)
    throw new Error(
      "there is no mvn on the PATH to fetch one with: install Maven (Debian: apt-get install maven, macOS: brew install maven)",
    );
  makeCache(cache);
  const { withLock } = await import(pathToFileURL(join(projectRoot, "local/setupLock.mjs")).href);
  await withLock(join(cache, "lock"), async () => {
    // Another process may have fetched it while this one waited.
    if (!isWhole(folder)) await fetchInto(folder, cache, maven, fetch);
  });
  return found;
}

/** The folder of all fetched versions. */
export function kafkaCache(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "nonstop-chat/kafka");
}

function makeCache(cache: string): void {
  try {
    mkdirSync(cache, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(
      `the folder ${cache} to fetch one into can't be made (${code}): name another in XDG_CACHE_HOME`,
      { cause },
    );
  }
}

/** Runs under the lock, so what is unfinished here belongs to a process that was killed. */
async function fetchInto(
  folder: string,
  cache: string,
  maven: string,
  { say, stopping }: KafkaFetch,
): Promise<void> {
  for (const name of readdirSync(cache).filter((each) => each.startsWith(UNFINISHED)))
    rmSync(join(cache, name), { recursive: true, force: true });
  say(`kafka: fetching Apache Kafka ${KAFKA_VERSION} from Maven Central, ${FETCHED_MB} MB...`);
  const unfinished = mkdtempSync(join(cache, UNFINISHED));
  try {
    writeFileSync(join(unfinished, "pom.xml"), POM);
    const run = new Child({
      name: "Maven",
      program: maven,
      wrapped: true,
      args: mavenArguments(unfinished),
      logFile: join(cache, "fetch.log"),
      startTimeoutMs: FETCH_TIMEOUT_MS,
      stopTimeoutMs: 5_000,
    });
    await run.done(stopping);
    rmSync(join(unfinished, "maven"), { recursive: true, force: true });
    const files = sizes(unfinished);
    if (files.length === 0) throw new Error(`Maven left no files in ${unfinished}`);
    writeFileSync(join(unfinished, LIST), JSON.stringify(files), { flush: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function mavenArguments(folder: string): string[] {
  return [
    "--batch-mode",
    "--quiet",
    // A file whose checksum is wrong is an error, not a warning.
    "--strict-checksums",
    `--file=${join(folder, "pom.xml")}`,
    // What another program broke in the user's own repository, or what this one leaves half done, harms nobody.
    `-Dmaven.repo.local=${join(folder, "maven")}`,
    COPY,
    `-DoutputDirectory=${join(folder, "libs")}`,
    "-DincludeScope=runtime",
  ];
}

/** Kafka Connect is most of what the tools depend on, and none of the tools used here needs it. */
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    ${dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION)}
    ${dependency("org.apache.kafka", "kafka-tools", KAFKA_VERSION, "connect-runtime")}
    ${dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION)}
  </dependencies>
</project>
`;

function dependency(group: string, artifact: string, version: string, without?: string): string {
  const named = (name: string) => `<groupId>${group}</groupId><artifactId>${name}</artifactId>`;
  const less = without ? `<exclusions><exclusion>${named(without)}</exclusion></exclusions>` : "";
  return `<dependency>${named(artifact)}<version>${version}</version>${less}</dependency>`;
}

/** The list of a fetched version's files with their sizes. */
const LIST = "files.json";

/** True when every file that was fetched is there in its size: a clean-up may have taken some. */
function isWhole(folder: string): boolean {
  const list = join(folder, LIST);
  return existsSync(list) && readFileSync(list, "utf8") === JSON.stringify(sizes(folder));
}

function sizes(folder: string): [string, number][] {
  const libs = join(folder, "libs");
  if (!existsSync(libs)) return [];
  const names = readdirSync(libs).sort();
  return names.map((name) => [name, statSync(join(libs, name)).size]);
}
