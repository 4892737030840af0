import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { projectRoot } from "../../local/settings.js";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const namesIn = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, name = ""]) => name);

/** What the parameter file reads. */
const PARAMETERS = namesIn(read("infra/main.bicepparam"), /readEnvironmentVariable\('(\w+)'/g);
const hooks = readdirSync(join(projectRoot, "infra/hooks"))
  .filter((name) => name.endsWith(".mjs"))
  .map((name) => read(`infra/hooks/${name}`))
  .join("\n");
/** What the hooks read: by its name, or named in a list. */
const OF_HOOKS = [...namesIn(hooks, /\benv\.([A-Z_]+)/g), ...namesIn(hooks, /"((?:AUTH|AZURE)_[A-Z_]+)"/g)];
/** What the templates tell the hooks. Nobody sets it. */
const OUTPUTS = namesIn(read("infra/main.bicep"), /^output (\w+)/gm);

/** Read by the hooks, and neither a setting nor an output. */
const NO_SETTINGS: Readonly<Record<string, string>> = {
  CI: "GitHub sets it",
  HOOK_PAUSE_MS: "for tests, which wait for nothing",
  HOOK_START_MS: "for tests, which wait for nothing",
};
const SETTINGS = [...new Set([...PARAMETERS, ...OF_HOOKS])].filter(
  (name) => !(name in NO_SETTINGS) && (PARAMETERS.includes(name) || !OUTPUTS.includes(name)),
);

/** Settings that a workflow has no variable for. */
const NOT_IN_DEPLOY: Readonly<Record<string, string>> = {
  SMOKE_TOKEN: "a token ends, and a variable is no secret: SMOKE_TOKEN_COMMAND gets one",
};
/** What no template reads, so that it changes nothing in a what-if. */
const NOT_IN_WHAT_IF = ["DEPLOYER_IP", "SKIP_DATABASE", "SMOKE_TOKEN", "SMOKE_TOKEN_COMMAND"];

const Env = z.record(z.string(), z.string());
const Job = z.object({
  env: Env,
  steps: z.array(
    z.object({
      name: z.string().optional(),
      uses: z.string().optional(),
      run: z.string().optional(),
      shell: z.string().optional(),
      with: z.record(z.string(), z.unknown()).optional(),
      env: Env.optional(),
    }),
  ),
});
const jobOf = (path: string, name: string) => Job.parse(parse(read(path)).jobs[name]);
const deploy = jobOf(".github/workflows/deploy.yml", "deploy");
const whatIf = jobOf(".github/workflows/infra.yml", "what-if");

test("the settings are found", () => {
  expect(SETTINGS).toEqual(
    expect.arrayContaining(["AZURE_SIZE", "AZURE_UPSTREAM_TOKEN_ISSUER", "SKIP_DATABASE", "AUTH_ISSUER"]),
  );
  expect(SETTINGS).not.toContain("AZURE_MYSQL_HOST");
});

test("what the hooks want of the templates the templates tell", () => {
  const known = [...OUTPUTS, ...SETTINGS.filter((name) => PARAMETERS.includes(name))];
  const others = ["AZURE_SUBSCRIPTION_ID", ...Object.keys(NO_SETTINGS)];
  const unknown = OF_HOOKS.filter((name) => /^AZURE_/.test(name) && ![...known, ...others].includes(name));
  expect(unknown).toEqual([]);
});

describe.each(SETTINGS)("%s", (name) => {
  test("is in docs/deploy.md", () => {
    expect(namesIn(read("docs/deploy.md"), /`([A-Z_]+)`/g)).toContain(name);
  });

  test.skipIf(name in NOT_IN_DEPLOY)("comes to a deployment from the variable of its name", () => {
    const envs = [deploy.env, ...deploy.steps.map(({ env = {} }) => env)];
    const usual = name === "AZURE_PRINCIPAL_TYPE" ? "ServicePrincipal" : `\${{ vars.${name} }}`;
    expect(envs.map((env) => env[name])).toContain(usual);
  });

  test.skipIf(NOT_IN_WHAT_IF.includes(name))("comes to a what-if as to a deployment", () => {
    expect(whatIf.env[name]).toBe(deploy.env[name]);
  });
});

describe("deploy.yml", () => {
  const steps = deploy.steps.map(({ uses, run = "" }) => uses?.replace(/@.*/, "") ?? run);

  test("signs in again right before the database, as a signature is good for minutes", () => {
    const databases = steps.findIndex((step) => step.includes("hooks run predeploy"));
    expect(steps[databases - 1]).toBe("azure/login");
    expect(steps.filter((step) => step === "azure/login")).toHaveLength(2);
    const others = deploy.steps.filter(({ run = "" }) => /azd (provision|deploy)/.test(run));
    expect(others.map(({ env }) => env)).toEqual([{ SKIP_DATABASE: "true" }, { SKIP_DATABASE: "true" }]);
  });

  test("has a secret in its last step alone", () => {
    const withSecrets = deploy.steps.filter((step) => JSON.stringify(step).includes("secrets."));
    expect(withSecrets).toEqual([deploy.steps.at(-1)]);
    expect(JSON.stringify(deploy.env)).not.toContain("secrets.");
  });

  test("runs no scripts of packages", () => {
    expect(steps).toContain("npm ci --ignore-scripts");
    expect(steps).not.toContain("npm ci");
  });
});

test("what a pull request runs signs in as an identity that can change nothing", () => {
  expect(JSON.stringify(whatIf)).toContain("vars.AZURE_PLAN_CLIENT_ID");
  expect(JSON.stringify(whatIf)).not.toContain("vars.AZURE_CLIENT_ID");
  expect(whatIf.steps.at(-1)?.run).toContain("--validation-level ProviderNoRbac");
});

test.each(readdirSync(join(projectRoot, ".github/workflows")))(
  "a pipe in %s fails as its parts do",
  (name) => {
    const { jobs } = parse(read(`.github/workflows/${name}`));
    for (const { steps } of Object.values<{ steps: { run?: string; shell?: string }[] }>(jobs))
      for (const { run = "", shell } of steps)
        if (/[^|]\|[^|]/.test(run)) expect([run, shell]).toEqual([run, "bash"]);
  },
);

const hasJq = spawnSync("jq", ["--version"]).status === 0;
if (!hasJq) console.warn("NOT RUN: the docs' line that exports outputs, as there is no jq");
test.skipIf(!hasJq)("the docs' line exports outputs as what the hooks read", () => {
  const line = /^eval .*outputs\.json\)"$/m.exec(read("docs/deploy.md"))?.[0] ?? "";
  const cwd = mkdtempSync(join(tmpdir(), "nonstop-outputs-"));
  try {
    // Azure's own case of the names.
    const outputs = { azurE_RESOURCE_GROUP: { type: "String", value: "it's $HOME" } };
    writeFileSync(join(cwd, "outputs.json"), JSON.stringify(outputs));
    const print = `${line}; printenv AZURE_RESOURCE_GROUP`;
    expect(execFileSync("bash", ["-c", print], { cwd, encoding: "utf8" })).toBe("it's $HOME\n");
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
