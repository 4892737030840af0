/** After the code is deployed: waits for it, tells Web PubSub where it is, then sends a message through it. */
import { required } from "./environment.mjs";
import { az, say } from "./programs.mjs";
import { smoke, untilHealthy } from "./smoke.mjs";

const START_MS = 5 * 60_000;

export async function release(env) {
  const [group, app, url] = required(env, [
    "AZURE_RESOURCE_GROUP",
    "AZURE_FUNCTION_APP_NAME",
    "AZURE_FUNCTION_APP_URL",
  ]);
  await started(url, () => az(["functionapp", "restart", "--resource-group", group, "--name", app]));
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

/** Last, because the service asks the app for leave before it sends events, and forgets no refusal at once. */
async function deployHub(env, group, url) {
  const [service, audience] = required(env, ["AZURE_WEB_PUBSUB_NAME", "AZURE_UPSTREAM_AUDIENCE"]);
  say(`Web PubSub: its events go to ${url}...`);
  const template = ["--template-file", "infra/modules/webPubSubHub.bicep"];
  const values = [`webPubSubName=${service}`, `functionAppUrl=${url}`, `upstreamAudience=${audience}`];
  const where = ["--resource-group", group, "--name", "web-pubsub-hub"];
  await az([
    "deployment",
    "group",
    "create",
    ...where,
    ...template,
    "--parameters",
    ...values,
    "--output",
    "none",
  ]);
}
