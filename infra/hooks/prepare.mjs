/** Before provisioning: whether this machine and the settings are fit for it. Makes nothing secret. */
import { az, azJson, HookError, run, say } from "./programs.mjs";

/** The first versions that know what the templates and hooks use. */
const AZ = "2.76.0";
/** It looks into `.funcignore` for what to build where; `remoteBuild` of Flex Consumption came with 1.23.5. */
const AZD = "1.23.12";
/** `@onlyIfNotExists` is in it without being asked for. */
const BICEP = "0.39.0";
const NODE = "20.19.0";
/** Of a fresh subscription they are not registered; Microsoft.App is what Flex Consumption joins networks by. */
const PROVIDERS = [
  "Microsoft.App",
  "Microsoft.Cache",
  "Microsoft.DBforMySQL",
  "Microsoft.EventHub",
  "Microsoft.Insights",
  "Microsoft.KeyVault",
  "Microsoft.ManagedIdentity",
  "Microsoft.OperationalInsights",
  "Microsoft.SignalRService",
  "Microsoft.Storage",
  "Microsoft.Web",
];

/** Throws one error that names all that is missing or too old. */
export async function prepare(env) {
  const problems = [...settingProblems(env), ...(await toolProblems(env))];
  if (problems.length > 0)
    throw new HookError(`not ready to provision:\n${problems.map((one) => `  ${one}`).join("\n")}`);
  await registerProviders();
  await fixBudgetStart(env);
}

/** The settings that have no usual value, and names that Azure would refuse only after minutes. */
export function settingProblems(env) {
  const wanted = {
    AUTH_ISSUER: "the issuer of your users' tokens",
    AUTH_AUDIENCE: "the audience of your users' tokens",
    AUTH_JWKS_URI: "where your identity provider publishes its keys, https://…",
  };
  const problems = subscriptionProblems(env);
  problems.push(
    ...Object.entries(wanted)
      .filter(([name]) => !env[name])
      .map(([name, meaning]) => `${name} is not set, ${meaning}: azd env set ${name} VALUE`),
  );
  if (!/^[a-z0-9][a-z0-9-]{0,18}[a-z0-9]$/.test(env.AZURE_ENV_NAME ?? ""))
    problems.push(
      `AZURE_ENV_NAME ${env.AZURE_ENV_NAME ?? ""} must have 2 to 20 characters, a to z, 0 to 9 and - between them: azd env new NAME`,
    );
  if (env.CI === "true" && Number(env.AZURE_BUDGET_AMOUNT) > 0 && !env.AZURE_BUDGET_START)
    problems.push(
      "AZURE_BUDGET_START is not set, and a pipeline keeps nothing: name the month of the first time, like 2026-12-01",
    );
  if (env.AZURE_MYSQL_MODE === "entra")
    for (const name of ["AZURE_MYSQL_ENTRA_ADMIN_LOGIN", "AZURE_MYSQL_ENTRA_ADMIN_OBJECT_ID"])
      if (!env[name])
        problems.push(`${name} is not set, which AZURE_MYSQL_MODE=entra wants: azd env set ${name} VALUE`);
  return problems;
}

/** `azd up` asks for it before this hook, a first `azd provision` only after it. */
const subscriptionProblems = (env) =>
  env.AZURE_SUBSCRIPTION_ID
    ? []
    : [
        "AZURE_SUBSCRIPTION_ID is not set, the subscription to deploy into: azd env set AZURE_SUBSCRIPTION_ID ID (az account show --query id --output tsv)",
      ];

async function toolProblems(env) {
  const problems = [];
  const check = async (name, least, find) => {
    const version = await find().catch((error) => problems.push(error.message) && undefined);
    if (version !== undefined && isOlder(version, least))
      problems.push(`${name} ${version} is too old, ${least} is needed`);
  };
  await check("Node", NODE, async () => process.versions.node);
  await check("az", AZ, async () => (await azJson(["version"]))["azure-cli"]);
  await check("azd", AZD, async () => /(\d+\.\d+\.\d+)/.exec(await run("azd", ["version"]))?.[1]);
  if (problems.length > 0) return problems;
  // az brings its own Bicep, for the hub's settings after the deployment. azd has another one.
  await check("Bicep of az", BICEP, bicepVersion);
  const subscription = env.AZURE_SUBSCRIPTION_ID;
  if (!subscription) return problems;
  const account = await azJson(["account", "show"]).catch(() => undefined);
  if (account?.id !== subscription)
    problems.push(
      `az is not signed in to ${subscription}: az login, then az account set --subscription ${subscription}`,
    );
  return problems;
}

async function bicepVersion() {
  const find = async () => /(\d+\.\d+\.\d+)/.exec(await az(["bicep", "version"]))?.[1];
  return find().catch(async () => {
    await az(["bicep", "install"]);
    return find();
  });
}

/** Compares versions of three numbers. */
export function isOlder(version, least) {
  const [given, wanted] = [version, least].map((text) => text.split(".").map(Number));
  const first = wanted.findIndex((number, index) => number !== (given[index] ?? 0));
  return first >= 0 && (given[first] ?? 0) < wanted[first];
}

async function registerProviders() {
  const known = await azJson(["provider", "list", "--query", "[?registrationState=='Registered'].namespace"]);
  for (const name of PROVIDERS.filter((one) => !known.includes(one))) {
    say(`registering ${name} in the subscription...`);
    await az(["provider", "register", "--namespace", name, "--wait"]);
  }
}

/** A budget begins with a month, for good: the first deployment's. */
async function fixBudgetStart(env, now = new Date()) {
  if (env.AZURE_BUDGET_START) return;
  await run("azd", ["env", "set", "AZURE_BUDGET_START", `${now.toISOString().slice(0, 7)}-01`]);
}
