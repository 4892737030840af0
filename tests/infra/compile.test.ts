import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { Bicep, findCompiler } from "./bicep.js";
import { RULES, SWITCHED_OFF } from "./linterRules.js";
import { sortedSnapshot } from "./snapshots.js";

const INFRA = "infra";
const SNAPSHOTS = ["dev", "prod", "webPubSubHub"].map((name) => join(INFRA, `${name}.bicepparam`));

const filesOf = (ending: string): string[] =>
  readdirSync(INFRA, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(INFRA, name))
    .sort();
const templates = filesOf(".bicep");
const parameters = filesOf(".bicepparam");
/** What is deployed by itself. All other templates are reached from these. */
const ALONE = [
  join(INFRA, "main.bicep"),
  join(INFRA, "modules", "webPubSubHub.bicep"),
  ...templates.filter((file) => file.startsWith(join(INFRA, "hooks"))),
];

const path = findCompiler();
if (!path)
  console.warn(
    "NOT RUN: the templates are not compiled, as there is no Bicep compiler. " +
      "Install one (https://aka.ms/bicep-install) or name it in BICEP; 0.49 or later.",
  );
const bicep = path ? new Bicep(path) : undefined;

const Sarif = z.object({
  runs: z.tuple([
    z.object({
      results: z.array(z.object({ ruleId: z.string(), message: z.object({ text: z.string() }) })),
    }),
  ]),
});

/** What the linter finds, warnings too: a property that no version knows is one, and the exit code is 0. */
function findings(file: string): string[] {
  const { stdout, stderr } = compiler().run(["lint", file, "--diagnostics-format", "sarif"]);
  if (!stdout.startsWith("{")) throw new Error(`${file}: ${stderr}${stdout}`);
  const [run] = Sarif.parse(JSON.parse(stdout)).runs;
  return run.results.map(({ ruleId, message }) => `${ruleId}: ${message.text}`);
}

/** JSON with whole lines of comments. */
const withoutComments = (text: string): string => text.replace(/^\s*\/\/.*$/gm, "");

let folder: string | undefined;
afterEach(() => {
  if (folder) rmSync(folder, { recursive: true });
  folder = undefined;
});

/** A copy of the templates, with what they read, that a test may change. */
function copied(): string {
  folder = mkdtempSync(join(tmpdir(), "infra-"));
  cpSync(INFRA, join(folder, INFRA), { recursive: true });
  cpSync("host.json", join(folder, "host.json"));
  return join(folder, INFRA);
}

function compiler(): Bicep {
  if (!bicep) throw new Error("There is no compiler.");
  return bicep;
}

describe.skipIf(!bicep)("the compiler", () => {
  // A parameter file is looked through with the templates that it reaches.
  test.each([...parameters, ...ALONE.slice(2)])("finds nothing in %s", (file) => {
    expect(findings(file)).toEqual([]);
  });

  test.each(["bicep", "bicepparam"])("would write no .%s otherwise", (ending) => {
    const copy = copied();
    expect(compiler().run(["format", "--pattern", `${copy}/**/*.${ending}`])).toMatchObject({ code: 0 });
    const textsIn = (folder: string) =>
      filesOf(`.${ending}`).map((file) => readFileSync(join(folder, relative(INFRA, file)), "utf8"));
    expect(textsIn(copy)).toEqual(textsIn(INFRA));
  });

  test.each(ALONE)("builds %s", (file) => {
    const { code, stderr } = compiler().run(["build", file, "--stdout"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test.each(parameters)("builds %s", (file) => {
    const { code, stderr } = compiler().run(["build-params", file, "--stdout"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  // `UPDATE_SNAPSHOTS=1 npm run check:infra` writes them.
  test.each(SNAPSHOTS)("comes to the snapshot of %s", (file) => {
    const written = file.replace(".bicepparam", ".snapshot.json");
    if (process.env["UPDATE_SNAPSHOTS"]) {
      expect(compiler().snapshot(file, "overwrite")).toMatchObject({ code: 0 });
      writeFileSync(written, sortedSnapshot(readFileSync(written, "utf8")));
    }
    const { code, stdout, stderr } = compiler().snapshot(file, "validate");
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  });
});

describe.skipIf(!bicep)("a mistake is told before anything is deployed", () => {
  const main = join(INFRA, "main.bicepparam");
  const told = (settings: Record<string, string | undefined>): string => {
    const { stdout, stderr } = compiler().run(["lint", main], settings);
    return stdout + stderr;
  };

  test.each(["AZURE_ENV_NAME", "AZURE_LOCATION", "AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URI"])(
    "%s, which has no default",
    (name) => {
      expect(told({ [name]: undefined })).toContain(`Environment variable "${name}" does not exist`);
    },
  );

  test.each([
    ["AZURE_SIZE", "Prod", 'Did you mean "prod"?'],
    ["AZURE_NETWORK", "Private", "'private' | 'public'"],
    ["AZURE_MYSQL_MODE", "Entra", 'Did you mean "entra"?'],
    // Without who administers the server.
    ["AZURE_MYSQL_MODE", "entra", "is too short"],
    ["AZURE_PRINCIPAL_TYPE", "Group", "'ServicePrincipal' | 'User'"],
    ["HEART_BEATS", "yes", 'Failed to evaluate parameter "heartBeats"'],
    ["AZURE_BUDGET_AMOUNT", "much", "much"],
  ])("%s=%s", (name, value, said) => {
    expect(told({ [name]: value })).toContain(said);
  });

  test("nothing is wrong where each variable that may be unset is empty, as in a workflow", () => {
    const names = [...readFileSync(main, "utf8").matchAll(/readEnvironmentVariable\('(\w+)', ''\)/g)].map(
      ([, name = ""]) => name,
    );
    expect(names).toContain("AZURE_SIZE");
    const build = (settings: Record<string, string | undefined>) =>
      compiler().run(["build-params", main, "--stdout"], settings);
    const empty = build(Object.fromEntries(names.map((name) => [name, ""])));
    const unset = build(Object.fromEntries(names.map((name) => [name, undefined])));
    expect(empty).toEqual(unset);
    expect(empty).toMatchObject({ code: 0, stderr: "" });
  });

  test("every default is of the parameter file, as the compiler's own doesn't stand in for ''", () => {
    expect(readFileSync(main, "utf8")).not.toMatch(/readEnvironmentVariable\('\w+', '[^']/);
  });

  /** The dev size with one line changed. */
  const evaluated = (from: string, to: string): string => {
    const file = join(copied(), "dev.bicepparam");
    const source = readFileSync(file, "utf8");
    expect(source).toContain(from);
    writeFileSync(file, source.replace(from, to));
    const { stdout, stderr } = compiler().snapshot(file, "overwrite");
    return stdout + stderr;
  };

  test("more connections than the MySQL server takes", () => {
    expect(
      evaluated("param mysql = dev.mysql", "param mysql = union(dev.mysql, { poolSize: 16 })"),
    ).toContain("The app could open 496 connections, and four fifths of what Standard_B1ms takes are 136");
  });

  test.each([
    [3, "greater than or equal to '4'"],
    [201, "less than or equal to '200'"],
  ])("a pool of %d connections, which the app does not take", (poolSize, said) => {
    expect(
      evaluated("param mysql = dev.mysql", `param mysql = union(dev.mysql, { poolSize: ${poolSize} })`),
    ).toContain(`'mysql.poolSize' is not valid. Value should be ${said}`);
  });

  test("a standby of a burstable server", () => {
    expect(
      evaluated(
        "param mysql = dev.mysql",
        "param mysql = union(dev.mysql, { highAvailability: 'ZoneRedundant' })",
      ),
    ).toContain("A burstable MySQL server has no high availability");
  });

  test("keys that come without TLS", () => {
    expect(evaluated("jwksUri: 'https:", "jwksUri: 'http:")).toContain(
      "AUTH_JWKS_URI must begin with https://",
    );
  });

  test("a budget without its beginning", () => {
    expect(
      evaluated(
        "param budget = { amount: 0, startDate: '2026-12-01' }",
        "param budget = { amount: 1, startDate: '' }",
      ),
    ).toContain("AZURE_BUDGET_START has to name the first day");
  });

  test("a size that isn't", () => {
    expect(
      evaluated("param redis = dev.redis", "param redis = union(dev.redis, { sku: 'Balanced_B2' })"),
    ).toContain("Balanced_B2");
  });
});

test("the rules that the linter goes by are all that there are, each at error but that of age", () => {
  const { analyzers } = z
    .object({
      analyzers: z.object({
        core: z.object({ rules: z.record(z.string(), z.object({ level: z.string() })) }),
      }),
    })
    .parse(JSON.parse(withoutComments(readFileSync(join(INFRA, "bicepconfig.json"), "utf8"))));
  const levels = Object.entries(analyzers.core.rules).map(([name, { level }]) => [name, level]);
  const wanted = RULES.map((name) => [name, levelOf(name)]);
  expect(levels).toEqual(wanted);
});

/** Versions age, so that a deployment with a newer compiler would fail. The test above takes no warning. */
const levelOf = (name: string): string =>
  SWITCHED_OFF.includes(name) ? "off" : name === "use-recent-api-versions" ? "warning" : "error";

test("every module is reached from main.bicep, or deployed by itself", () => {
  const named = templates.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/^module \w+ '([^']+)'|from '([^']+)'/gm)].map((match) =>
      relative(".", join(dirname(file), match[1] ?? match[2] ?? "")),
    ),
  );
  expect(templates.filter((file) => !named.includes(file) && !ALONE.includes(file))).toEqual([
    // Parameter files import it.
    join(INFRA, "sizes.bicep"),
  ]);
});

test.each(SNAPSHOTS)("the snapshot of %s is sorted, so that changes can be read", (file) => {
  const text = readFileSync(file.replace(".bicepparam", ".snapshot.json"), "utf8");
  expect(text).toBe(sortedSnapshot(text));
});
