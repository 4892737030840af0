/** A hole in the firewall of the MySQL server, as long as it is needed. */
import { required } from "./environment.mjs";
import { az, deployTemplate, HookError, patiently, say, stopped } from "./programs.mjs";

/** One name for all deployments: what a killed one left behind is replaced by the next, and then removed. */
const RULE = "deployment-hook";
const API_VERSION = "2024-12-30";
const ADDRESS_SERVICE = "https://api.ipify.org";
const ADDRESS_MS = 10_000;
/** Right after provisioning the server is still at work, and takes one change at a time. */
const BUSY = {
  passing: /ServerIsBusy|ServerBusy|server is busy|OperationInProgress|TooManyRequests/i,
  times: 10,
  pauseMs: 30_000,
  what: "mysql",
};
const IPV4 = /^(\d{1,3}\.){3}\d{1,3}$/;

/**
 * Does `work` while this machine may reach the server, and removes the rule whatever happens: a failure, a
 * Ctrl+C, a second one. Throws what `work` threw, and that the rule could not be removed.
 */
export async function withFirewallRule(env, work) {
  const names = ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_MYSQL_SERVER_NAME"];
  const [subscription, group, server] = required(env, names);
  const address = await ownAddress(env);
  const close = () => closeRule(subscription, group, server);
  try {
    say(`mysql: letting ${address} in...`);
    await Promise.race([patiently(() => openRule(group, server, address), BUSY), stopped]);
    await Promise.race([work(), stopped]);
  } catch (error) {
    await close().catch(({ message }) => {
      throw new HookError(`${error.message}\n  And ${message}`);
    });
    throw error;
  }
  await close();
}

/**
 * By a template: the commands of `az mysql` have changed their arguments and broken between versions
 * (azure-cli 2.89).
 */
function openRule(group, server, address) {
  const values = [`serverName=${server}`, `ruleName=${RULE}`, `address=${address}`];
  return deployTemplate(group, "mysql-firewall-rule", "infra/hooks/firewallRule.bicep", values);
}

/** A rule that isn't there counts as removed: its creation may have failed. */
async function closeRule(subscription, group, server) {
  say("mysql: closing the firewall again...");
  const scope = `/subscriptions/${subscription}/resourceGroups/${group}`;
  const rule = `${scope}/providers/Microsoft.DBforMySQL/flexibleServers/${server}/firewallRules/${RULE}`;
  const remove = () =>
    az(["resource", "delete", "--ids", rule, "--api-version", API_VERSION], { sheltered: true });
  await patiently(remove, { ...BUSY, sheltered: true }).catch(({ message }) => {
    if (/NotFound|could not be found/i.test(message)) return;
    throw new HookError(
      `the firewall rule ${RULE} of ${server} is still there, remove it by hand: ${message}`,
    );
  });
}

/** The address that this machine has on the internet. `DEPLOYER_IP` names it where nobody may be asked. */
async function ownAddress(env) {
  const address = env.DEPLOYER_IP || (await askForAddress());
  if (!IPV4.test(address))
    throw new HookError(
      `${address.slice(0, 40)} is no IPv4 address: set DEPLOYER_IP to this machine's public one`,
    );
  return address;
}

async function askForAddress() {
  try {
    const answer = await fetch(ADDRESS_SERVICE, { signal: AbortSignal.timeout(ADDRESS_MS) });
    return (await answer.text()).trim();
  } catch (error) {
    throw new HookError(
      `${ADDRESS_SERVICE} does not say this machine's public address (${error.message}): set DEPLOYER_IP`,
    );
  }
}
