import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import WebSocket, { createWebSocketStream } from "ws";
import { CACHE } from "./cache.js";

const PACKAGES = [
  "stompjs@2.3.3",
  "stomp-websocket@2.3.4-next",
  "stompjs-websocket@4.1.7",
  "stompjs4@npm:@stomp/stompjs@4.0.8",
  "stompjs5@npm:@stomp/stompjs@5.4.4",
  "stompjs6@npm:@stomp/stompjs@6.1.2",
  "@stomp/stompjs@7.5.0",
  "rx-stomp1@npm:@stomp/rx-stomp@1.2.0",
  "@stomp/rx-stomp@2.4.0",
  "rxjs@7.8.2",
  "webstomp-client@1.2.6",
  "stompit@1.0.0",
];
const FOLDER = join(CACHE, "npm");

/** Installs the libraries where they don't touch this project's packages. */
export function installLibraries(): void {
  const stamp = join(FOLDER, "installed");
  const wanted = PACKAGES.join("\n");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  mkdirSync(FOLDER, { recursive: true });
  // An npm that runs this test has said with which settings it runs; they are not meant for this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/.test(name)));
  const options = [
    "--no-save",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--prefix",
    FOLDER,
  ];
  execFileSync("npm", ["install", ...options, ...PACKAGES], { env, cwd: FOLDER });
  writeFileSync(stamp, wanted);
}

// biome-ignore lint/suspicious/noExplicitAny: the libraries have no types here
type Untyped = any;
const load = (name: string): Untyped => createRequire(join(FOLDER, "package.json"))(name);

/** A connection that a library has made. */
export interface Chat {
  subscribe(destination: string, take: (body: string) => void): void;
  /** To `/pub/chat/message`. */
  send(body: string, receipt: string): void;
  /** The ids of the RECEIPTs that have come. */
  readonly receipts: ReadonlySet<string>;
  /** Why it ended, if it did. */
  readonly ended: readonly unknown[];
  close(): void;
}

export interface Library {
  readonly name: string;
  /** What of it is particular. */
  readonly shows: string;
  /** Resolves when the CONNECTED frame is there. */
  connect(url: string): Promise<Chat>;
}

const SEND = "/pub/chat/message";

/** stompjs until version 4 and what was made of it. */
function overOld(client: Untyped, isWebstomp = false): Promise<Chat> {
  const [receipts, ended] = [new Set<string>(), [] as unknown[]];
  client.debug = () => {};
  client.onreceipt = ({ headers }: Untyped) => receipts.add(headers["receipt-id"]);
  const chat: Chat = {
    subscribe: (destination, take) => client.subscribe(destination, ({ body }: Untyped) => take(body)),
    send: (body, receipt) =>
      isWebstomp ? client.send(SEND, body, { receipt }) : client.send(SEND, { receipt }, body),
    receipts,
    ended,
    close: () => client.disconnect(),
  };
  return new Promise((resolve, reject) => {
    client.connect(
      {},
      () => resolve(chat),
      (error: unknown) => {
        ended.push(error);
        reject(new Error(String(error)));
      },
    );
  });
}

/** @stomp/stompjs from version 5 on. */
function overNew({ Client }: Untyped, config: object): Promise<Chat> {
  const [receipts, ended] = [new Set<string>(), [] as unknown[]];
  const client = new Client({ reconnectDelay: 0, ...config });
  client.onWebSocketClose = () => ended.push("closed");
  const chat: Chat = {
    subscribe: (destination, take) => client.subscribe(destination, ({ body }: Untyped) => take(body)),
    send(body, receipt) {
      client.watchForReceipt(receipt, () => receipts.add(receipt));
      client.publish({ destination: SEND, body, headers: { receipt } });
    },
    receipts,
    ended,
    close: () => client.deactivate(),
  };
  return new Promise((resolve, reject) => {
    client.onConnect = () => resolve(chat);
    client.onStompError = ({ body }: Untyped) => ended.push(body) && reject(new Error(body));
    client.activate();
  });
}

function overRx({ RxStomp }: Untyped, config: object): Promise<Chat> {
  const [receipts, ended] = [new Set<string>(), [] as unknown[]];
  const client = new RxStomp();
  client.configure({ reconnectDelay: 0, ...config });
  client.webSocketErrors$.subscribe((error: unknown) => ended.push(error));
  client.stompErrors$.subscribe(({ body }: Untyped) => ended.push(body));
  const chat: Chat = {
    subscribe: (destination, take) => client.watch(destination).subscribe(({ body }: Untyped) => take(body)),
    send(body, receipt) {
      client.watchForReceipt(receipt, () => receipts.add(receipt));
      client.publish({ destination: SEND, body, headers: { receipt } });
    },
    receipts,
    ended,
    close: () => client.deactivate(),
  };
  return new Promise((resolve) => {
    client.connected$.subscribe(() => resolve(chat));
    client.activate();
  });
}

/** stompit knows streams only, and writes each line of a header by itself. */
function overStream({ Client }: Untyped, socket: WebSocket): Promise<Chat> {
  const [receipts, ended] = [new Set<string>(), [] as unknown[]];
  const stream = createWebSocketStream(socket, { encoding: "utf8", decodeStrings: false });
  const client = new Client(stream, { heartbeat: [0, 60_000], heartbeatDelayMargin: 5_000 });
  client.on("error", (error: unknown) => ended.push(error));
  const chat: Chat = {
    subscribe: (destination, take) =>
      client.subscribe({ destination, ack: "auto" }, (_: unknown, message: Untyped) =>
        message?.readString("utf-8", (_: unknown, body: string) => take(body)),
      ),
    send(body, receipt) {
      const options = { onReceipt: () => receipts.add(receipt) };
      client.send({ destination: SEND }, options).end(body);
    },
    receipts,
    ended,
    close: () => client.destroy(),
  };
  return new Promise((resolve, reject) => {
    client.connect({ host: "chat" }, (error: unknown) => (error ? reject(error) : resolve(chat)));
  });
}

const bare = (url: string) => () => new WebSocket(url);
const VERSIONS = ["v12.stomp", "v11.stomp", "v10.stomp"];

export const LIBRARIES: readonly Library[] = [
  {
    name: "stompjs 2.3.3",
    shows: "no subprotocol, its own WebSocket, splits above 16 KiB",
    connect: (url) => overOld(load("stompjs").overWS(url)),
  },
  {
    name: "stomp-websocket 2.3.4-next",
    shows: "no subprotocol, its own WebSocket, splits above 16 KiB",
    connect: (url) => overOld(load("stomp-websocket").overWS(url)),
  },
  {
    name: "stompjs-websocket 4.1.7",
    shows: "as it comes, splits above 16 KiB",
    connect: (url) => overOld(load("stompjs-websocket").client(url)),
  },
  {
    name: "@stomp/stompjs 4.0.8",
    shows: "as it comes, splits above 16 KiB",
    connect: (url) => overOld(load("stompjs4").client(url)),
  },
  {
    name: "@stomp/stompjs 5.4.4",
    shows: "no subprotocol",
    connect: (url) => overNew(load("stompjs5"), { webSocketFactory: bare(url) }),
  },
  {
    name: "@stomp/stompjs 6.1.2",
    shows: "splits into pieces of 8 KiB, heart-beats wanted every second",
    connect: (url) =>
      overNew(load("stompjs6"), {
        webSocketFactory: () => new WebSocket(url, VERSIONS),
        splitLargeFrames: true,
        heartbeatIncoming: 1_000,
        heartbeatOutgoing: 1_000,
      }),
  },
  {
    name: "@stomp/stompjs 7.5.0",
    shows: "splits into pieces of 1,000 characters",
    connect: (url) =>
      overNew(load("@stomp/stompjs"), {
        webSocketFactory: () => new WebSocket(url, VERSIONS),
        splitLargeFrames: true,
        maxWebSocketChunkSize: 1_000,
      }),
  },
  {
    name: "@stomp/stompjs 7.5.0 in binary",
    shows: "no subprotocol, binary messages",
    connect: (url) =>
      overNew(load("@stomp/stompjs"), {
        webSocketFactory: bare(url),
        forceBinaryWSFrames: true,
        appendMissingNULLonIncoming: true,
      }),
  },
  {
    name: "@stomp/rx-stomp 1.2.0",
    shows: "no subprotocol",
    connect: (url) => overRx(load("rx-stomp1"), { webSocketFactory: bare(url) }),
  },
  {
    name: "@stomp/rx-stomp 2.4.0",
    shows: "all subprotocols",
    connect: (url) =>
      overRx(load("@stomp/rx-stomp"), { webSocketFactory: () => new WebSocket(url, VERSIONS) }),
  },
  {
    name: "webstomp-client 1.2.6",
    shows: "no subprotocol, splits above 16 KiB",
    connect: (url) => overOld(load("webstomp-client").over(new WebSocket(url)), true),
  },
  {
    name: "webstomp-client 1.2.6 in binary",
    shows: "binary messages, no heart-beats",
    connect: (url) =>
      overOld(
        load("webstomp-client").over(new WebSocket(url, VERSIONS), { binary: true, heartbeat: false }),
        true,
      ),
  },
  {
    name: "stompit 1.0.0",
    shows: "no subprotocol, every piece of a frame a message of its own",
    connect: (url) => overStream(load("stompit"), new WebSocket(url)),
  },
];
