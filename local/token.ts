import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type AuthSettings, readAuthSettings } from "./settings.js";
import { signToken } from "./tokens.js";

const DAY_S = 86_400;

const USAGE = `Prints an access token for local use, valid for 24 hours.

  npm run --silent token -- USER_ID [NICKNAME] [--data DIR]

USER_ID is a whole number from 1 to ${Number.MAX_SAFE_INTEGER}. The token is for the stack that runs on the data
folder DIR (default .local), or else for the settings in local.settings.json.`;

/** The settings of the running stack on `data`. `undefined` when none runs there. */
function authOfStack(data: string): AuthSettings | undefined {
  try {
    return JSON.parse(readFileSync(join(data, "stack.json"), "utf8")).auth;
  } catch {
    return undefined;
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { data: { type: "string", default: ".local" }, help: { type: "boolean", default: false } },
  });
  if (values.help) return console.log(USAGE);
  const [id = "", nickname, ...rest] = positionals;
  const userId = Number(id);
  if (!/^[1-9]\d*$/.test(id) || !Number.isSafeInteger(userId))
    throw new Error(id === "" ? "USER_ID is missing" : `USER_ID is "${id}"`);
  if (rest.length > 0)
    throw new Error(`"${rest[0]}" is one word too many: put a nickname with blanks in quotes`);
  const auth = readAuthSettings({ ...authOfStack(values.data), ...process.env });
  console.log(await signToken(auth, { userId, nickname }, DAY_S));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(2);
}
