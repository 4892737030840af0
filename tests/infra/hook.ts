import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../../local/settings.js";

/** What a stand-in of `az` or `azd` does when its arguments begin like this. */
export interface Answer {
  readonly when: string;
  readonly prints?: string;
  readonly says?: string;
  readonly exit?: number;
  /** It does so this often, then the next one that begins like this. */
  readonly times?: number;
  /** It does not end by itself. */
  readonly hangs?: boolean;
}

export interface HookRun {
  readonly code: number | null;
  readonly said: string;
  /** The calls of `az` and `azd` in their order, each as one line. */
  readonly calls: readonly string[];
}

/** Programs in the place of `az` and `azd`, which write down how they are called. */
export interface Azure {
  /** Runs a hook, as azd does. `signal` is sent when a call begins like `at`. */
  run(hook: string, options: RunOptions): Promise<HookRun>;
  close(): void;
}

interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly answers?: readonly Answer[];
  readonly signal?: { readonly name: NodeJS.Signals; readonly at: string };
}

/**
 * What the templates tell the hooks of the database. The local server's user who may do everything stands for
 * Azure's administrator.
 */
export const DATABASE_OUTPUTS = {
  AZURE_SUBSCRIPTION_ID: "00000000-0000-4000-8000-000000000000",
  AZURE_RESOURCE_GROUP: "rg-chat",
  AZURE_MYSQL_SERVER_NAME: "mysql-chat",
  AZURE_MYSQL_MODE: "password",
  AZURE_MYSQL_ADMIN_USER: "chat",
  AZURE_MYSQL_APP_USER: "chat_app",
  AZURE_MYSQL_PASSWORD_SECRET_NAME: "mysql-admin-password",
  AZURE_MYSQL_URL_SECRET_NAME: "mysql-url",
  AZURE_KEY_VAULT_NAME: "kv-chat",
  AZURE_NETWORK: "public",
  DEPLOYER_IP: "203.0.113.7",
};

export function fakeAzure(): Azure {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-azure-"));
  const [bin, calls, answers] = ["bin", "calls.txt", "answers.json"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(bin);
  for (const name of ["az", "azd"]) {
    writeFileSync(join(bin, name), standIn(name, calls, answers));
    chmodSync(join(bin, name), 0o755);
  }
  const called = (): string[] =>
    existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n").filter(Boolean) : [];
  return {
    async run(hook, { env, answers: given = [], signal }) {
      rmSync(calls, { force: true });
      writeFileSync(answers, JSON.stringify(given));
      const child = spawn("sh", ["infra/hooks/hook.sh", hook], {
        cwd: projectRoot,
        env: { PATH: `${bin}:${process.env["PATH"]}`, HOME: folder, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => {
          said += text;
        });
      const watch = setInterval(() => {
        if (!signal || !called().some((line) => line.startsWith(signal.at))) return;
        clearInterval(watch);
        child.kill(signal.name);
      }, 20);
      const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
      clearInterval(watch);
      return { code, said, calls: called() };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const standIn = (name: string, calls: string, answers: string): string => `#!${process.execPath}
const { appendFileSync, readFileSync } = require("node:fs");
const line = ["${name}", ...process.argv.slice(2)].join(" ");
appendFileSync(${JSON.stringify(calls)}, line + "\\n");
const before = readFileSync(${JSON.stringify(calls)}, "utf8").split("\\n").slice(0, -2);
const isLeft = ({ when, times = Infinity }) => before.filter((one) => one.startsWith(when)).length < times;
const answer = JSON.parse(readFileSync(${JSON.stringify(answers)}, "utf8")).find(
  (one) => line.startsWith(one.when) && isLeft(one),
);
if (answer?.prints) console.log(answer.prints);
if (answer?.says) console.error(answer.says);
process.exitCode = answer?.exit ?? 0;
if (answer?.hangs) setTimeout(() => {}, 600_000);
`;
