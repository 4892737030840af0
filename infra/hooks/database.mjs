/**
 * The app's own user and the tables. Run by the hooks after provisioning and before each deployment; running
 * it again changes nothing.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createConnection } from "mysql2/promise";
import { required } from "./environment.mjs";
import { withFirewallRule } from "./firewall.mjs";
import { az, HookError, patiently, run, say } from "./programs.mjs";

/** What the app does with its tables. Only the migrations, as the administrator, change the tables. */
const RIGHTS = "SELECT, INSERT, UPDATE, DELETE";
const PACKAGE = "dist/package";
/** A role that was just assigned counts only after minutes. A vault that is closed to this network stays so. */
const ROLES = {
  passing: /Forbidden|not authorized|does not have/i,
  lasting: /public network access is disabled|private link|ForbiddenByConnection|ForbiddenByFirewall/i,
  times: 20,
  pauseMs: 15_000,
};
/** A firewall rule that was just made counts a little later. */
const RULES = { passing: /ETIMEDOUT|ECONNREFUSED|not allowed to connect/i, times: 12, pauseMs: 5_000 };

/**
 * The statements that make the app's user, each with its values. With a password it gets the one that Key
 * Vault has. In Entra mode it is the app's identity by its client id; the server then asks the directory
 * nothing, which it would need rights for.
 */
export function userStatements({ user, password, clientId, database }) {
  const grant = [`GRANT ${RIGHTS} ON ??.* TO ?@'%'`, [database, user]];
  if (clientId !== undefined)
    return [
      ["SET aad_auth_validate_oids_in_tenant = OFF", []],
      ["CREATE AADUSER ? IDENTIFIED BY ?", [user, clientId]],
      grant,
      ["FLUSH PRIVILEGES", []],
    ];
  return [
    ["CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", [user, password]],
    // For a user that was there before the password was changed.
    ["ALTER USER ?@'%' IDENTIFIED BY ?", [user, password]],
    grant,
  ];
}

/**
 * Makes the database, the user and the tables, as far as they are missing. `adminUrl` is the administrator's
 * address of the database; its password is a token where `credential` gives one.
 */
export async function prepareDatabase({ adminUrl, user, password, clientId, credential, code }) {
  const { migrate, connectionTo } = code;
  const database = decodeURIComponent(new URL(adminUrl).pathname.slice(1));
  const applied = await patiently(() => migrate(adminUrl, undefined, credential), {
    ...RULES,
    what: "mysql",
  });
  say(applied.length === 0 ? "mysql: the tables are up to date" : `mysql: applied ${applied.join(", ")}`);
  const connection = await createConnection(connectionTo(adminUrl, credential));
  try {
    for (const [sql, values] of userStatements({ user, password, clientId, database }))
      await connection.query(sql, values).catch((error) => {
        // The identity has been made a user before.
        if (!(sql.startsWith("CREATE AADUSER") && error.code === "ER_CANNOT_USER"))
          throw new HookError(`mysql refuses "${sql}": ${error.message}`);
      });
    say(`mysql: ${user} may ${RIGHTS} in ${database}`);
  } finally {
    await connection.end();
  }
}

/** What the packaged app itself connects and migrates with. The package is made where there is none. */
async function packagedCode(root) {
  if (!existsSync(join(root, PACKAGE))) await run(process.execPath, [join(root, "local/package.mjs")]);
  const load = (file) => import(pathToFileURL(join(root, PACKAGE, "dist/shared/store", file)).href);
  const [{ migrate }, { connectionTo }] = await Promise.all([load("migrate.js"), load("connecting.js")]);
  return { migrate, connectionTo };
}

/** Prepares the deployment's database. */
export async function databaseHook(env, root, { isOptional = false } = {}) {
  const code = await packagedCode(root);
  const work = async () => prepareDatabase({ ...(await access(env)), code });
  if (env.AZURE_NETWORK !== "private") return withFirewallRule(env, work);
  try {
    await work();
  } catch (error) {
    const advice = insideOnly(error);
    if (!isOptional) throw new HookError(advice);
    say(advice);
  }
}

const insideOnly = ({ message }) =>
  `the database can't be prepared from here: ${message}
  The network is private, so Key Vault and MySQL answer inside of it alone. On a machine of that network, with
  this repository, az and azd, signed in, run:  azd hooks run predeploy --service api
  It makes the app's user and the tables. Then go on with azd deploy there, or here with SKIP_DATABASE=true.`;

/** Where the administrator signs in and as whom, and what the app's user is to be. */
async function access(env) {
  const [mode, user] = required(env, ["AZURE_MYSQL_MODE", "AZURE_MYSQL_APP_USER"]);
  return mode === "entra" ? entraAccess(env, user) : passwordAccess(env, user);
}

async function passwordAccess(env, user) {
  const names = ["AZURE_MYSQL_PASSWORD_SECRET_NAME", "AZURE_MYSQL_URL_SECRET_NAME", "AZURE_MYSQL_ADMIN_USER"];
  const [passwordSecret, urlSecret, admin] = required(env, names);
  const [adminPassword, appUrl] = [await secret(env, passwordSecret), await secret(env, urlSecret)];
  const app = new URL(appUrl);
  if (decodeURIComponent(app.username) !== user)
    throw new HookError(`the secret ${urlSecret} is not the address of ${user}`);
  const adminUrl = new URL(app);
  [adminUrl.username, adminUrl.password] = [admin, encodeURIComponent(adminPassword)];
  return { adminUrl: adminUrl.href, user, password: decodeURIComponent(app.password) };
}

async function entraAccess(env, user) {
  const names = ["AZURE_MYSQL_ADMIN_USER", "AZURE_MYSQL_HOST", "AZURE_MYSQL_DATABASE", "AZURE_APP_CLIENT_ID"];
  const [admin, host, database, clientId] = required(env, names);
  const adminUrl = new URL(`mysql://${host}:3306/${database}`);
  adminUrl.username = encodeURIComponent(admin);
  const token = await az([
    "account",
    "get-access-token",
    "--resource-type",
    "oss-rdbms",
    "--query",
    "accessToken",
    "--output",
    "tsv",
  ]);
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 300_000 }) };
  return { adminUrl: adminUrl.href, user, clientId, credential };
}

/** A secret of the deployment's Key Vault. It is never printed. */
async function secret(env, name) {
  const [vault] = required(env, ["AZURE_KEY_VAULT_NAME"]);
  const args = [
    "keyvault",
    "secret",
    "show",
    "--vault-name",
    vault,
    "--name",
    name,
    "--query",
    "value",
    "--output",
    "tsv",
  ];
  return patiently(() => az(args), { ...ROLES, what: `the secret ${name}` });
}
