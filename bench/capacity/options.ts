import { parseArgs } from "node:util";
import { INSTANCES } from "./limits.js";

interface NumberOption {
  readonly usual: number;
  readonly least: number;
  readonly most: number;
  readonly isWhole: boolean;
  readonly what: string;
}

const whole = (usual: number, least: number, most: number, what: string): NumberOption => ({
  usual,
  least,
  most,
  isWhole: true,
  what,
});
const any = (usual: number, least: number, most: number, what: string): NumberOption => ({
  usual,
  least,
  most,
  isWhole: false,
  what,
});

/** All numbers that can be said, with their bounds. `0` of some of them means: reckon it. */
const NUMBERS = {
  users: whole(10_000, 1, 100_000_000, "users"),
  online: whole(0, 0, 100_000_000, "connections at the busiest moment; 0: a tenth of the users"),
  "messages-per-user-day": any(20, 0, 10_000, "messages that a user sends in a day, the mean of all users"),
  "room-size": any(10, 1, 10_000, "members of the room that a message goes to, the mean"),
  peak: any(5, 1, 100, "busiest minute over the mean of the day"),
  "read-share": any(0.5, 0, 1, "of the messages shown to somebody, those that are read at once"),
  "stock-share": any(0.2, 0, 1, "clients that take one frame a WebSocket message, as stock STOMP clients do"),
  "stock-ids": whole(1, 0, 256, "subscription ids that these have in a room; each is a REST call a message"),
  "message-bytes": whole(200, 1, 65_536, "bytes of a message's content, the mean"),
  "connections-per-user-day": any(5, 0, 1_000, "times that a user connects in a day"),
  subscriptions: whole(10, 1, 100, "subscriptions that a client makes when it connects"),
  "calls-per-connection": any(5, 0, 1_000, "HTTP calls for each connection: lists, history"),
  "heart-beat-share": any(0.2, 0, 1, "clients that ask for heart-beats"),
  "rooms-per-user": whole(10, 1, 10_000, "rooms that a user is a member of"),
  "keep-months": any(12, 0, 120, "months of messages that MySQL has room for"),
  "pool-size": whole(16, 4, 200, "MYSQL_POOL_SIZE: connections of an instance"),
  partitions: whole(0, 0, 32, "partitions of chat-messages; 0: reckon them"),
  "read-partitions": whole(0, 0, 32, "partitions of chat-read-events; 0: reckon them"),
  "maximum-instances": whole(0, 0, 1_000, "the most on-demand instances of each group; 0: reckon them"),
  "http-concurrency": whole(16, 1, 1_000, "HTTP requests that an instance gets at a time"),
  "always-ready-http": whole(1, 0, 100, "instances for HTTP that always run"),
  "always-ready-messages": whole(1, 0, 100, "instances for messages that always run"),
  "logged-share": any(0.1, 0, 1, "executions that Application Insights keeps"),
} as const satisfies Readonly<Record<string, NumberOption>>;

const CHOICES = {
  memory: { usual: "2048", of: Object.keys(INSTANCES), what: "MB of an instance of the functions" },
  network: {
    usual: "public",
    of: ["public", "private"],
    what: "whether all is reached by endpoints in a network of its own",
  },
  capture: { usual: "no", of: ["no", "yes"], what: "every message also as a file in Blob Storage" },
  "request-logs": {
    usual: "yes",
    of: ["no", "yes"],
    what: "Web PubSub logs each REST call, for an alert on 429",
  },
  "high-availability": { usual: "no", of: ["no", "yes"], what: "a second MySQL server and Redis node" },
} as const;

type NumberName = keyof typeof NUMBERS;

/** What the model computes with, each as it was given or as it usually is. */
export interface Input {
  readonly numbers: Readonly<Record<NumberName, number>>;
  readonly memory: keyof typeof INSTANCES;
  readonly isPrivate: boolean;
  readonly captures: boolean;
  readonly logsRequests: boolean;
  readonly isHighlyAvailable: boolean;
}

export interface Command {
  readonly input: Input;
  readonly form: "text" | "json" | "table" | "documents";
  readonly wantsHelp: boolean;
}

const EACH = Object.entries(NUMBERS) as readonly (readonly [NumberName, NumberOption])[];

/** Reads the command's words. Throws one error that names everything that is wrong with them. */
export function readOptions(args: readonly string[]): Command {
  const names = [...Object.keys(NUMBERS), ...Object.keys(CHOICES)];
  const flags = Object.fromEntries(
    ["json", "table", "documents", "help"].map((name) => [name, { type: "boolean" as const }]),
  );
  const texts = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { values } = parsed(withNegatives(args), { ...texts, ...flags });
  const problems: string[] = [];
  const text = (name: string): string | undefined => {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    return typeof value === "string" ? value : undefined;
  };
  const numbers = Object.fromEntries(
    EACH.map(([name, option]) => [name, numberOf(name, option, text(name), problems)]),
  ) as Record<NumberName, number>;
  if (numbers.online === 0) numbers.online = Math.max(1, Math.ceil(numbers.users / 10));
  if (numbers.online > numbers.users)
    problems.push(`--online ${numbers.online} is more than --users ${numbers.users}: say how many of them`);
  const choice = (name: keyof typeof CHOICES): string => choiceOf(name, text(name), problems);
  const said = (name: keyof typeof CHOICES): boolean => choice(name) === "yes";
  const [memory, network] = [choice("memory"), choice("network")];
  const [captures, logsRequests] = [said("capture"), said("request-logs")];
  const isHighlyAvailable = said("high-availability");
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return {
    input: {
      numbers,
      memory: memory === "512" ? 512 : memory === "4096" ? 4096 : 2048,
      isPrivate: network === "private",
      captures,
      logsRequests,
      isHighlyAvailable,
    },
    form: values["json"] ? "json" : values["table"] ? "table" : values["documents"] ? "documents" : "text",
    wantsHelp: values["help"] === true,
  };
}

/** `--users -5` as `--users=-5`: else the -5 would be taken for an option, and the answer would be about that. */
const withNegatives = (args: readonly string[]): readonly string[] =>
  args.flatMap((arg, index) => {
    if (/^-\d/.test(arg) && args[index - 1]?.startsWith("--")) return [];
    const next = args[index + 1];
    return arg.startsWith("--") && next !== undefined && /^-\d/.test(next) ? `${arg}=${next}` : arg;
  });

function parsed(
  args: readonly string[],
  options: NonNullable<Parameters<typeof parseArgs>[0]>["options"],
): { values: Readonly<Record<string, unknown>> } {
  try {
    return parseArgs({ args: [...args], options: options ?? {}, strict: true });
  } catch (error) {
    const why = error instanceof Error ? error.message.split(". ")[0] : String(error);
    throw new Error(`${why}: \`npm run capacity -- --help\` lists the options`);
  }
}

function numberOf(name: string, option: NumberOption, text: string | undefined, problems: string[]): number {
  if (text === undefined) return option.usual;
  // Separators as people write them. Number("") would be 0.
  const plain = text.trim().replaceAll(/[,_](?=\d{3})/g, "");
  const value = /^-?\d+(\.\d+)?$/.test(plain) ? Number(plain) : Number.NaN;
  const isFine =
    value >= option.least && value <= option.most && (!option.isWhole || Number.isInteger(value));
  if (isFine) return value;
  const kind = option.isWhole ? "a whole number" : "a number";
  const [least, most] = [option.least, option.most].map((bound) => bound.toLocaleString("en-US"));
  problems.push(`--${name} must be ${kind} from ${least} to ${most}, and ${JSON.stringify(text)} is none`);
  return option.usual;
}

function choiceOf(name: keyof typeof CHOICES, text: string | undefined, problems: string[]): string {
  const { usual, of } = CHOICES[name];
  if (text === undefined) return usual;
  if (!(of as readonly string[]).includes(text))
    problems.push(`--${name} must be one of ${of.join(", ")}, and ${JSON.stringify(text)} is none`);
  return text;
}

/** Lists every option. */
export function help(): string {
  const line = (name: string, usual: string, what: string): string =>
    `  --${name.padEnd(26)}${usual.padStart(8)}  ${what}`;
  return [
    "npm run capacity -- [OPTION VALUE]...",
    "",
    "Reckons what a deployment for so many users needs of each service and costs a month.",
    "docs/capacity.md says how. Nothing is asked of Azure.",
    "",
    ...EACH.map(([name, { usual, what }]) => line(name, String(usual), what)),
    ...Object.entries(CHOICES).map(([name, { usual, of, what }]) =>
      line(name, usual, `${of.join(" or ")}: ${what}`),
    ),
    line("json", "", "all of it as JSON"),
    line("table", "", "a Markdown table of what is needed"),
    line("documents", "", "writes the tables of docs/capacity.md and docs/deploy.md anew"),
  ].join("\n");
}
