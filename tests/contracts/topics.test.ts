import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, start } from "../../local/eventHubs/server.js";
import { freePort } from "../../local/ports.js";
import { startKafka } from "../../local/services/kafka.js";
import { findKafka, type KafkaProgram } from "../../local/services/kafkaProgram.js";
import type { Service } from "../../local/services/service.js";
import { projectRoot } from "../../local/settings.js";
import { type Authority, makeAuthority } from "../support/certificates.js";
import { noKafka } from "../support/kafka.js";
import { ADMIN, GUEST, kafkaTool, type SecuredKafka, startSecuredKafka } from "../support/kafkaPrograms.js";
import { PATIENCE_MS } from "../support/patience.js";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const scratch = mkdtempSync(join(tmpdir(), "topics-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The program as it is deployed, with these settings alone. */
function topics(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  const program = join(projectRoot, "dist/shared/bus/makeTopics.js");
  const settings = { PATH: process.env["PATH"], ...env };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...args],
      { env: settings, timeout: PATIENCE_MS },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

let tables = 0;
/** Writes a table of topics, `{name: [partitions, hours]}`, and names its file for the program. */
function table(hubs: Record<string, readonly [partitions: number, hours: number]>): string[] {
  const file = join(scratch, `table-${tables++}.json`);
  const entries = Object.entries(hubs).map(([name, [partitions, retentionHours]]) => [
    name,
    { partitions, retentionHours, consumerGroups: [] },
  ]);
  writeFileSync(file, JSON.stringify({ hubs: Object.fromEntries(entries) }));
  return ["--table", file];
}

describe.skipIf(noKafka !== undefined)("topics on Kafka", () => {
  let program: KafkaProgram;
  let kafka: Service;
  let env: Record<string, string>;

  beforeAll(async () => {
    program = await findKafka();
    kafka = await startKafka({ data: join(scratch, "kafka") });
    env = { EVENT_BUS: "kafka", KAFKA_BROKERS: kafka.url };
  });
  afterAll(() => kafka?.close());

  /** What the broker's own tool says of topics, whose names begin alike: of each its first line, by name. */
  async function described(names: string): Promise<ReadonlyMap<string, Record<string, string>>> {
    const args = ["--bootstrap-server", kafka.url, "--describe", "--topic", `${names}.*`];
    const said = await kafkaTool(program, "org.apache.kafka.tools.TopicCommand", ...args);
    const lines = said.split("\n").filter((line) => line.startsWith("Topic: "));
    const topics = lines.map((line) =>
      Object.fromEntries(line.split("\t").map((part) => part.split(": ", 2) as [string, string])),
    );
    return new Map(topics.map((topic) => [topic["Topic"]!, topic]));
  }

  /** Settings as somebody else leaves them. */
  async function alter(topic: string, settings: string): Promise<void> {
    const change = ["--alter", "--topic", topic, "--add-config", settings];
    await kafkaTool(program, "kafka.admin.ConfigCommand", "--bootstrap-server", kafka.url, ...change);
  }

  test("topics that are missing are made as the table says, and a second run changes nothing", async () => {
    const hubs = table({ made: [3, 24], "made-dlt": [1, 168] });
    expect(await topics(env, ...hubs, "--check")).toEqual({
      code: 1,
      stdout:
        "topic     partitions  retention  what was done\n" +
        "made      3           24 h       missing\n" +
        "made-dlt  1           168 h      missing\n\n" +
        "made is missing. Run this without --check to make it.\n" +
        "made-dlt is missing. Run this without --check to make it.\n",
      stderr: "",
    });
    expect(await topics(env, ...hubs)).toEqual({
      code: 0,
      stdout:
        "topic     partitions  retention  what was done\n" +
        "made      3           24 h       made\n" +
        "made-dlt  1           168 h      made\n",
      stderr: "",
    });
    for (const args of [hubs, [...hubs, "--check"]])
      expect(await topics(env, ...args)).toEqual({
        code: 0,
        stdout:
          "topic     partitions  retention  what was done\n" +
          "made      3           24 h       as it must be\n" +
          "made-dlt  1           168 h      as it must be\n",
        stderr: "",
      });
    const made = await described("made");
    expect(made.get("made")).toMatchObject({ PartitionCount: "3", ReplicationFactor: "1" });
    expect(made.get("made")!["Configs"]!.split(",")).toEqual(
      expect.arrayContaining([
        "cleanup.policy=delete",
        "retention.ms=86400000",
        "message.timestamp.type=LogAppendTime",
      ]),
    );
    expect(made.get("made-dlt")).toMatchObject({ PartitionCount: "1", ReplicationFactor: "1" });
    expect(made.get("made-dlt")!["Configs"]).toContain("retention.ms=604800000");
  });

  test("settings that differ are told by --check and corrected without it, others are left alone", async () => {
    const hubs = table({ altered: [2, 6] });
    await topics(env, ...hubs);
    const foreign =
      "cleanup.policy=compact,retention.ms=-1,message.timestamp.type=CreateTime,retention.bytes=5000,segment.ms=600000";
    await alter("altered", foreign);
    const remark = "altered: note that retention.bytes is 5000: events may go before their time.\n";
    const changes =
      "cleanup.policy compact -> delete, retention.ms -1 -> 21600000, " +
      "message.timestamp.type CreateTime -> LogAppendTime";
    expect(await topics(env, ...hubs, "--check")).toEqual({
      code: 1,
      stdout:
        "topic    partitions  retention          what was done\n" +
        "altered  2           for ever, not 6 h  differs\n\n" +
        `altered differs: ${changes}. Run this without --check to correct it.\n${remark}`,
      stderr: "",
    });
    const settings = async () => (await described("altered")).get("altered")!["Configs"]!.split(",");
    expect(await settings()).toEqual(expect.arrayContaining(foreign.split(",")));
    expect(await topics(env, ...hubs)).toEqual({
      code: 0,
      stdout:
        "topic    partitions  retention  what was done\n" +
        `altered  2           6 h        corrected: ${changes}\n\n${remark}`,
      stderr: "",
    });
    expect(await settings()).toEqual(
      expect.arrayContaining([
        "cleanup.policy=delete",
        "retention.ms=21600000",
        "message.timestamp.type=LogAppendTime",
        "retention.bytes=5000",
        "segment.ms=600000",
      ]),
    );
  });

  test("a topic with more or fewer partitions than the table says is left as it is", async () => {
    await topics(env, ...table({ "other-more": [4, 24], "other-fewer": [2, 24] }));
    const { code, stdout } = await topics(env, ...table({ "other-more": [3, 1], "other-fewer": [3, 1] }));
    expect(code).toBe(1);
    expect(stdout).toContain(
      "topic        partitions  retention      what was done\n" +
        "other-more   4, not 3    24 h, not 1 h  left as it is\n" +
        "other-fewer  2, not 3    24 h, not 1 h  left as it is\n",
    );
    expect(stdout).toContain("other-more has 4 partitions, the table says 3. The number is for good");
    const found = await described("other-");
    for (const [topic, count] of Object.entries({ "other-more": "4", "other-fewer": "2" })) {
      expect(found.get(topic)).toMatchObject({ PartitionCount: count });
      expect(found.get(topic)!["Configs"]).toContain("retention.ms=86400000");
    }
  });

  test("of four that run at once one makes each topic", async () => {
    const hubs = table(Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`race-${n}`, [2, 24]])));
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => topics(env, ...hubs)));
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array.from({ length: 4 }, () => ({ code: 0, stderr: "" })),
    );
    for (let n = 0; n < 8; n += 1) {
      const rows = outcomes.map(
        ({ stdout }) => new RegExp(`^race-${n} +2 +24 h +(.+)$`, "m").exec(stdout)?.[1],
      );
      expect(rows.sort()).toEqual(["as it must be", "as it must be", "as it must be", "made"]);
    }
  });

  test("more replicas than there are brokers are refused", async () => {
    const { code, stdout } = await topics(env, ...table({ replicated: [1, 24] }), "--replication", "3");
    expect(code).toBe(1);
    expect(stdout).toContain("replicated can't be made with 3 replicas (");
    expect(stdout).toContain("Give --replication a number up to that of the brokers that run.");
    expect((await topics(env, ...table({ replicated: [1, 24] }), "--replication", "1")).code).toBe(0);
    const differing = await topics(env, ...table({ replicated: [1, 24] }), "--replication", "2", "--check");
    expect(differing.code).toBe(1);
    expect(differing.stdout).toContain("replicated has 1 replica of each partition, not 2.");
  });

  test("a broker that starts up is waited for", async () => {
    const port = await freePort();
    const hubs = table({ late: [1, 24] });
    const waiting = topics(
      { EVENT_BUS: "kafka", KAFKA_BROKERS: `127.0.0.1:${port}` },
      ...hubs,
      "--wait",
      "300",
    );
    const late = await startKafka({ data: join(scratch, "late"), port });
    const { code, stdout, stderr } = await waiting;
    await late.close();
    expect(stderr).toMatch(/^Waiting for .*ECONNREFUSED/);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "topic  partitions  retention  what was done\nlate   1           24 h       made\n",
    });
  });

  describe("that asks who comes", () => {
    let secured: SecuredKafka;
    let authority: Authority;
    const as = ([user, password]: readonly [string, string]): Record<string, string> => ({
      EVENT_BUS: "kafka",
      KAFKA_BROKERS: secured.brokers,
      KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
      KAFKA_SASL_MECHANISM: "PLAIN",
      KAFKA_USERNAME: user,
      KAFKA_PASSWORD: password,
      NODE_EXTRA_CA_CERTS: authority.file,
    });

    beforeAll(async () => {
      authority = await makeAuthority();
      secured = await startSecuredKafka(join(scratch, "secured"), await authority.certify("localhost"));
    });
    afterAll(async () => {
      await secured?.close();
      authority?.close();
    });

    test("topics are made by whom may, over TLS", async () => {
      const { code, stdout } = await topics(as(ADMIN), ...table({ guarded: [1, 24] }));
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: "topic    partitions  retention  what was done\nguarded  1           24 h       made\n",
      });
    });

    test.each([
      ["that exist", "guarded"],
      ["that are missing", "other"],
    ])("a user without rights on topics %s is told the rights", async (_, topic) => {
      const { code, stdout } = await topics(as(GUEST), ...table({ [topic]: [1, 24] }));
      expect(code).toBe(1);
      expect(stdout).toMatch(new RegExp(`^${topic} +1 +24 h +refused$`, "m"));
      expect(stdout).toContain(
        `${topic}: this identity lacks a right. It needs Describe and DescribeConfigs on the topic, Create`,
      );
    });

    test("a wrong password, an unknown authority and a wrong protocol are named", async () => {
      const hubs = [...table({ guarded: [1, 24] }), "--wait", "1"];
      const wrong = await topics(as([ADMIN[0], "guessed"]), ...hubs);
      const unknown = await topics({ ...as(ADMIN), NODE_EXTRA_CA_CERTS: "" }, ...hubs);
      const plain = await topics({ EVENT_BUS: "kafka", KAFKA_BROKERS: secured.brokers }, ...hubs);
      expect([wrong.code, unknown.code, plain.code]).toEqual([1, 1, 1]);
      expect(wrong.stderr).toMatch(/^localhost:\d+ refuses KAFKA_USERNAME and KAFKA_PASSWORD/);
      expect(unknown.stderr).toMatch(/^The certificate of localhost:\d+ is not trusted/);
      expect(unknown.stderr).toContain("NODE_EXTRA_CA_CERTS");
      expect(plain.stderr).toContain("is KAFKA_SECURITY_PROTOCOL what its port speaks?");
    });
  });
});

describe("the program that makes topics", () => {
  test("ends when no broker comes, and says where it looked", async () => {
    const closed = await freePort();
    const env = { EVENT_BUS: "kafka", KAFKA_BROKERS: `127.0.0.1:${closed}` };
    const { code, stdout, stderr } = await topics(env, "--wait", "1");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`Kafka at 127.0.0.1:${closed} can't be reached (connect ECONNREFUSED`);
  });

  test("ends when something else than a broker closes each connection", async () => {
    const other = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const env = { EVENT_BUS: "kafka", KAFKA_BROKERS: `127.0.0.1:${port}` };
    const { code, stderr } = await topics(env, "--wait", "1");
    other.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`Kafka at 127.0.0.1:${port} can't be reached (`);
  });

  test.each<[string, string[], RegExp]>([
    ["an unknown argument", ["--create"], /'--create'.*Usage: npm run topics/s],
    [
      "replicas that are no number",
      ["--replication", "all"],
      /^--replication must be a whole number, 1 to 100/,
    ],
    ["a wait that is too long", ["--wait", "9999"], /^--wait must be a whole number, 0 to 3600/],
    [
      "a table that is not there",
      ["--table", "nowhere.json"],
      /^nowhere\.json is no table of topics.*ENOENT/s,
    ],
  ])("refuses %s", async (_, args, message) => {
    const { code, stderr } = await topics({ EVENT_BUS: "kafka", KAFKA_BROKERS: "127.0.0.1:9" }, ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test("refuses wrong settings, all at once", async () => {
    const { code, stderr } = await topics({ EVENT_BUS: "kafka", KAFKA_PASSWORD: "secret" });
    expect(code).toBe(1);
    expect(stderr).toContain("KAFKA_BROKERS is missing");
    expect(stderr).toContain("KAFKA_PASSWORD counts only beside KAFKA_BROKERS");
  });

  test("refuses a table without partitions, and names the place", async () => {
    const file = join(scratch, "wrong.json");
    writeFileSync(file, '{"hubs":{"first":{"partitions":0,"retentionHours":24}}}');
    const { code, stderr } = await topics(
      { EVENT_BUS: "kafka", KAFKA_BROKERS: "127.0.0.1:9" },
      "--table",
      file,
    );
    expect(code).toBe(1);
    expect(stderr).toContain("hubs.first.partitions");
  });
});

describe("topics on Event Hubs", () => {
  let server: Server;
  beforeAll(async () => {
    const hub = { retentionHours: 24, consumerGroups: [] };
    const hubs = { right: { ...hub, partitions: 3 }, wrong: { ...hub, partitions: 2 } };
    server = await start({ port: 0, data: join(scratch, "hubs"), hubs });
  });
  afterAll(() => server?.close());

  test("are compared with the table, and nothing else can be seen or done there", async () => {
    const hubs = table({ right: [3, 24], wrong: [4, 24], absent: [1, 24] });
    const { code, stdout, stderr } = await topics(
      { EVENT_HUBS_CONNECTION: server.connectionString },
      ...hubs,
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(stdout).toContain(
      "topic   partitions   retention  what was done\n" +
        "right   3            not seen   as it must be\n" +
        "wrong   2, not 4     not seen   not as it must be\n" +
        "absent  1, not seen  not seen   missing\n",
    );
    expect(stdout).toContain("wrong has 2 partitions, the table says 4. The number is for good");
    expect(stdout).toContain("absent is missing, or disabled. Only the deployment, or `az`, makes a hub.");
    expect(stdout).toContain("Retention, cleanup policy and consumer groups are not looked at here");
  });

  test("are compared by AMQP where the settings name the Kafka endpoint", async () => {
    const endpoint = {
      EVENT_BUS: "kafka",
      KAFKA_BROKERS: "chat.servicebus.windows.net:9093",
      KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
      KAFKA_SASL_MECHANISM: "PLAIN",
      KAFKA_PASSWORD: server.connectionString,
    };
    const { code, stdout } = await topics(endpoint, ...table({ right: [3, 24] }));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^right +3 +not seen +as it must be$/m);
    expect(stdout).toContain("Event Hubs shows its clients whether a hub exists");
  });

  test("a wrong key and a namespace that is away are named", async () => {
    const wrong = server.connectionString.replace("SAS_KEY_VALUE", "GUESSED_VALUE");
    const away = server.connectionString.replace(/:\d+/, `:${await freePort()}`);
    const hubs = [...table({ right: [3, 24] }), "--wait", "1"];
    const refused = await topics({ EVENT_HUBS_CONNECTION: wrong }, ...hubs);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^Event Hubs refuses this key or identity/);
    const unreachable = await topics({ EVENT_HUBS_CONNECTION: away }, ...hubs);
    expect(unreachable.code).toBe(1);
    expect(unreachable.stderr).toContain("Event Hubs can't be reached (");
  });
});
