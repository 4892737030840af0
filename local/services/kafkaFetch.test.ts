import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { fetchKafka } from "./kafkaFetch.js";

const root = mkdtempSync(join(tmpdir(), "nonstop-fetch-kafka-"));
const cache = join(root, "cache/nonstop-chat/kafka");
const libs = join(cache, "4.1.1/libs");
const said: string[] = [];

/** Stands for Maven, which needs a network: makes two files in the folder it is told, and counts its calls. */
const MAVEN = `#!/bin/sh
echo >> ${root}/calls
for word; do case $word in -DoutputDirectory=*) to=\${word#*=} ;; esac; done
mkdir -p $to && echo server > $to/kafka_2.13-4.1.1.jar && sleep 0.3 && echo client > $to/kafka-clients-4.1.1.jar
`;

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, "bin"), { recursive: true });
  writeFileSync(join(root, "bin/mvn"), MAVEN, { mode: 0o755 });
  writeFileSync(join(root, "calls"), "");
  said.length = 0;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const env = { PATH: join(root, "bin"), XDG_CACHE_HOME: join(root, "cache") };
const fetchOnce = (stopping = new AbortController().signal) =>
  fetchKafka({ env, say: (line) => said.push(line), stopping });
const calls = () => readFileSync(join(root, "calls"), "utf8").length;

describe("Kafka's files from Maven", () => {
  test("are fetched once, also for several that ask at the same time", async () => {
    const both = await Promise.all([fetchOnce(), fetchOnce()]);
    expect(both).toEqual([
      { libs, version: "4.1.1" },
      { libs, version: "4.1.1" },
    ]);
    expect(await fetchOnce()).toEqual({ libs, version: "4.1.1" });
    expect(said).toEqual(["kafka: fetching Apache Kafka 4.1.1 from Maven Central, 65 MB..."]);
    expect(calls()).toBe(1);
    expect(readdirSync(libs).sort()).toEqual(["kafka-clients-4.1.1.jar", "kafka_2.13-4.1.1.jar"]);
  });

  test.each<[string, () => void]>([
    ["shortened", () => writeFileSync(join(libs, "kafka_2.13-4.1.1.jar"), "s")],
    ["missing", () => rmSync(join(libs, "kafka-clients-4.1.1.jar"))],
    ["not listed", () => rmSync(join(cache, "4.1.1/files.json"))],
  ])("are fetched again when one is %s", async (_, damage) => {
    await fetchOnce();
    damage();
    await fetchOnce();
    expect(calls()).toBe(2);
    expect(readdirSync(libs)).toHaveLength(2);
  });

  test("of a download that was killed are removed", async () => {
    mkdirSync(join(cache, "4.1.1.unfinished-abcdef/libs"), { recursive: true });
    await fetchOnce();
    expect(readdirSync(cache).sort()).toEqual(["4.1.1", "fetch.log"]);
  });

  test("are given up when the start is stopped", async () => {
    const stopping = new AbortController();
    const fetching = fetchOnce(stopping.signal);
    setTimeout(() => stopping.abort(), 100);
    await expect(fetching).rejects.toThrow("Maven failed");
    expect(existsSync(libs)).toBe(false);
    expect(readdirSync(cache)).toEqual(["fetch.log"]);
  });

  test("need a folder that can be made", async () => {
    writeFileSync(join(root, "cache"), "");
    await expect(fetchOnce()).rejects.toThrow("can't be made (ENOTDIR): name another in XDG_CACHE_HOME");
  });
});
