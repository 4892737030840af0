import { readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fetchKafka } from "./kafkaFetch.js";
import { findJava, onPath } from "./kafkaJava.js";

/** Kafka 4 is the first without ZooKeeper, and the first that logs by Log4j 2. */
const OLDEST_KAFKA = 4;
const USUAL_PLACES = [
  "/opt/kafka",
  "/usr/local/kafka",
  "/usr/share/kafka",
  "/opt/homebrew/opt/kafka/libexec",
  "/usr/local/opt/kafka/libexec",
  "/home/linuxbrew/.linuxbrew/opt/kafka/libexec",
];

/** A Kafka that can be run. */
export interface KafkaProgram {
  /** The full path of `java`. */
  readonly java: string;
  /** The folder of all its `.jar` files. */
  readonly libs: string;
  /** As its files say it: `4.1.1`. */
  readonly version: string;
}

/** What a search may be told. */
export interface KafkaSearch {
  readonly env?: NodeJS.ProcessEnv;
  /** Gets a line about what is passed over, and about what is fetched. */
  readonly say?: (line: string) => void;
  /** Ends a download. */
  readonly stopping?: AbortSignal;
  /** Folders where a Kafka may lie, instead of the usual ones. */
  readonly places?: readonly string[];
}

/**
 * The Kafka that `KAFKA_HOME` names, or else one of this machine, or else Maven's artifacts, which are
 * fetched into the user's cache when they are not there. Throws advice where none can be had.
 */
export async function findKafka(search: KafkaSearch = {}): Promise<KafkaProgram> {
  const { env = process.env, say = () => {} } = search;
  const java = await findJava(env).catch((error: Error) => {
    throw new Error(`${error.message}; ${OTHERWISE}`);
  });
  const installed = env["KAFKA_HOME"] ? named(env["KAFKA_HOME"]) : onThisMachine(search, env, say);
  if (installed) return { java, ...installed };
  const { stopping = new AbortController().signal } = search;
  const fetched = await fetchKafka({ env, say, stopping }).catch((error: Error) => {
    if (stopping.aborted) throw error;
    throw new Error(`no Kafka was found on this machine, and ${error.message}; ${OTHERWISE}`);
  });
  return { java, ...fetched };
}

/**
 * Why no Kafka can be had on this machine, `undefined` where there is one. It is fetched if need be.
 */
export async function whyNoKafka(search?: KafkaSearch): Promise<string | undefined> {
  return await findKafka(search).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

const OTHERWISE =
  "or unpack a Kafka and name its folder in KAFKA_HOME, or name a running broker in KAFKA_BROKERS (HOST:PORT)";

type Installed = Pick<KafkaProgram, "libs" | "version">;

function named(home: string): Installed {
  const found = installedIn(home);
  if (!found)
    throw new Error(
      `KAFKA_HOME=${home}: there is no libs/kafka_2.13-VERSION.jar in this folder; name the folder of an unpacked Kafka, or unset KAFKA_HOME`,
    );
  if (isTooOld(found))
    throw new Error(
      `KAFKA_HOME=${home}: this is Kafka ${found.version}, and ${OLDEST_KAFKA}.0 or later is needed; name another one, or unset KAFKA_HOME`,
    );
  return found;
}

function onThisMachine(
  { places = USUAL_PLACES }: KafkaSearch,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Installed | undefined {
  const all = [...places, ...homesOnPath(env)];
  const found = all.map(installedIn).filter((each) => each !== undefined);
  for (const { libs, version } of found.filter(isTooOld))
    say(`kafka: ${libs} has Kafka ${version}, which is too old (${OLDEST_KAFKA}.0 is needed): passed over`);
  return found.find((each) => !isTooOld(each));
}

/** A package may have only its start scripts on the PATH, or links to them. */
function homesOnPath(env: NodeJS.ProcessEnv): string[] {
  const scripts = ["kafka-server-start", "kafka-server-start.sh"].map((name) => onPath(name, env));
  return scripts
    .filter((script) => script !== undefined)
    .map((script) => dirname(dirname(realpathSync(script))))
    .flatMap((home) => [home, join(home, "libexec")]);
}

function installedIn(home: string): Installed | undefined {
  const libs = join(home, "libs");
  const version = listed(libs)
    .map((file) => /^kafka_2\.\d+-(\d[\w.-]*)\.jar$/.exec(file)?.[1])
    .find((each) => each !== undefined);
  return version === undefined ? undefined : { libs, version };
}

function isTooOld({ version }: Installed): boolean {
  return Number.parseInt(version, 10) < OLDEST_KAFKA;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
