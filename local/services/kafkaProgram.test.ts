import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { findKafka } from "./kafkaProgram.js";

const root = mkdtempSync(join(tmpdir(), "nonstop-find-kafka-"));
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A program that prints this on stderr, and can do nothing else. */
function program(path: string, prints: string, exitCode = 0): string {
  const file = join(root, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${prints}' >&2\nexit ${exitCode}\n`, { mode: 0o755 });
  return file;
}

const java = (folder: string, version = "17.0.15") =>
  program(`${folder}/java`, `openjdk version "${version}" 2025-04-15`);

/** A Kafka as far as its files tell. */
function kafka(folder: string, version: string): string {
  mkdirSync(join(root, folder, "libs"), { recursive: true });
  writeFileSync(join(root, folder, "libs", `kafka_2.13-${version}.jar`), "");
  return join(root, folder);
}

/** The search where nothing is but what the test has made. */
const find = (env: Record<string, string> = {}, places: readonly string[] = [], said: string[] = []) =>
  findKafka({
    env: { PATH: join(root, "bin"), HOME: root, ...env },
    places,
    say: (line) => said.push(line),
  });

describe("KAFKA_HOME", () => {
  test("names the Kafka that is run, whatever else is on the machine", async () => {
    const program = java("bin");
    const found = await find({ KAFKA_HOME: kafka("mine", "4.0.0") }, [kafka("opt", "4.1.1")]);
    expect(found).toEqual({ java: program, libs: join(root, "mine/libs"), version: "4.0.0" });
  });

  test("must be the folder of one", async () => {
    java("bin");
    await expect(find({ KAFKA_HOME: join(root, "bin") })).rejects.toThrow(
      `KAFKA_HOME=${join(root, "bin")}: there is no libs/kafka_2.13-VERSION.jar in this folder; name the folder of an unpacked Kafka, or unset KAFKA_HOME`,
    );
  });

  test("must not be too old", async () => {
    java("bin");
    const home = kafka("old", "3.9.1");
    await expect(find({ KAFKA_HOME: home })).rejects.toThrow(
      `KAFKA_HOME=${home}: this is Kafka 3.9.1, and 4.0 or later is needed; name another one, or unset KAFKA_HOME`,
    );
  });
});

describe("a Kafka of this machine", () => {
  beforeEach(() => void java("bin"));

  test("is taken from the usual places, an old one passed over aloud", async () => {
    const said: string[] = [];
    const places = [kafka("old", "3.9.1"), join(root, "missing"), kafka("new", "4.2.0")];
    expect(await find({}, places, said)).toMatchObject({ libs: join(root, "new/libs"), version: "4.2.0" });
    expect(said).toEqual([
      `kafka: ${join(root, "old/libs")} has Kafka 3.9.1, which is too old (4.0 is needed): passed over`,
    ]);
  });

  test.each([
    ["cellar/kafka", "bin/kafka-server-start"],
    ["cellar/kafka/libexec", "bin/kafka-server-start.sh"],
  ])("is found at %s by its start script on the PATH", async (home, script) => {
    kafka(home, "4.1.1");
    program(`cellar/kafka/${script}`, "");
    const env = { PATH: [join(root, "bin"), join(root, "cellar/kafka/bin")].join(":") };
    expect((await find(env)).libs).toBe(join(root, home, "libs"));
  });
});

describe("Java", () => {
  test.each([["17.0.15"], ["21"], ["25-ea"]])("%s can run Kafka", async (version) => {
    expect((await find({ KAFKA_HOME: kafka("k", "4.1.1"), PATH: join(java("j", version), "..") })).java).toBe(
      join(root, "j/java"),
    );
  });

  test("of JAVA_HOME is taken when it is new enough, else the one on the PATH", async () => {
    const KAFKA_HOME = kafka("k", "4.1.1");
    const [onPath, ofHome] = [java("bin"), java("home/bin", "21.0.2")];
    expect((await find({ KAFKA_HOME, JAVA_HOME: join(root, "home") })).java).toBe(ofHome);
    java("home/bin", "11.0.20");
    expect((await find({ KAFKA_HOME, JAVA_HOME: join(root, "home") })).java).toBe(onPath);
  });

  test.each([
    ["11.0.20", "Java 11"],
    ["1.8.0_392", "Java 8"],
  ])("%s is told to be too old", async (version, told) => {
    const path = java("bin", version);
    await expect(find({ KAFKA_HOME: kafka("k", "4.1.1") })).rejects.toThrow(
      `Kafka needs Java 17 or later, and ${path} is ${told}: install one (Debian: apt-get install openjdk-17-jre-headless`,
    );
  });

  test("may be missing, or only tell to install one, as on macOS", async () => {
    const message = "Kafka needs Java 17 or later, and no java was found: install one";
    await expect(find()).rejects.toThrow(message);
    await expect(find()).rejects.toThrow("or name a running broker in KAFKA_BROKERS (HOST:PORT)");
    program("bin/java", "Unable to locate a Java Runtime.", 1);
    await expect(find()).rejects.toThrow(`${join(root, "bin/java")}: Unable to locate a Java Runtime.:`);
  });
});

describe("without any Kafka", () => {
  beforeEach(() => void java("bin"));

  test("Maven is needed, and the message says every way out", async () => {
    await expect(find()).rejects.toThrow(
      "no Kafka was found on this machine, and there is no mvn on the PATH to fetch one with: install Maven " +
        "(Debian: apt-get install maven, macOS: brew install maven); or unpack a Kafka and name its folder in KAFKA_HOME, " +
        "or name a running broker in KAFKA_BROKERS (HOST:PORT)",
    );
  });

  test("what Maven says when it can't fetch it is told, and nothing is left behind", async () => {
    program("bin/mvn", "[ERROR] Unknown host repo.example", 1);
    const said: string[] = [];
    await expect(find({}, [], said)).rejects.toThrow(
      /and Maven failed \(exit code 1\), see .*fetch\.log:\n {2}\[ERROR\] Unknown host repo\.example; or unpack a Kafka/,
    );
    expect(said).toEqual(["kafka: fetching Apache Kafka 4.1.1 from Maven Central, 65 MB..."]);
  });
});
