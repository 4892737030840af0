/** After the code is deployed: waits for it, tells Web PubSub where it is, then sends a message through it. */
import { required } from "./environment.mjs";
import { az, deployTemplate, say } from "./programs.mjs";
import { smoke, untilHealthy } from "./smoke.mjs";

const START_MS = Number(process.env.HOOK_START_MS ?? 5 * 60_000);
const SITES_API = "2022-03-01";

export async function release(env) {
  const [group, app, url] = required(env, [
    "AZURE_RESOURCE_GROUP",
    "AZURE_FUNCTION_APP_NAME",
    "AZURE_FUNCTION_APP_URL",
  ]);
  await started(url, async () => {
    if (env.AZURE_MYSQL_MODE === "password") await refreshSecrets(env, group, app);
    await az(["functionapp", "restart", "--resource-group", group, "--name", app]);
  });
  await deployHub(env, group, url);
  await smoke(env, url);
}

/**
 * An app whose roles were assigned a moment before its start may have found no functions (Functions host
 * #11938). Then a restart helps, and only that.
 */
async function started(url, restart) {
  try {
    await untilHealthy(url, START_MS);
  } catch (error) {
    say(`${error.message}: restarting the app once...`);
    await restart();
    await untilHealthy(url, START_MS);
  }
}

/**
 * MYSQL_URL is a reference to Key Vault. One that the platform could not follow, as the app had no role yet, it
 * follows again only after a day, or when it is told to (App Service, "Key Vault references", "Rotation").
 */
async function refreshSecrets(env, group, app) {
  const [subscription] = required(env, ["AZURE_SUBSCRIPTION_ID"]);
  const site = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Web/sites/${app}`;
  const path = `${site}/config/configreferences/appsettings/refresh?api-version=${SITES_API}`;
  await az(["rest", "--method", "post", "--url", path, "--output", "none"]).catch(({ message }) =>
    say(`Key Vault references are not read again: ${message}`),
  );
}

/** Last, because the service asks the app for leave before it sends events, and forgets no refusal at once. */
async function deployHub(env, group, url) {
  const [service, audience] = required(env, ["AZURE_WEB_PUBSUB_NAME", "AZURE_UPSTREAM_AUDIENCE"]);
  say(`Web PubSub: its events go to ${url}...`);
  const values = [`webPubSubName=${service}`, `functionAppUrl=${url}`, `upstreamAudience=${audience}`];
  await deployTemplate(group, "web-pubsub-hub", "infra/modules/webPubSubHub.bicep", values);
}
