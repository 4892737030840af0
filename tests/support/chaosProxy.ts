import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import { LOOPBACK } from "../../local/ports.js";

/** What happens to traffic; probabilities are for each message or call. */
export interface Mood {
  /** Longest pause before a message goes on; the order stays. */
  readonly delayMs?: number;
  /** A message comes once more, at once or behind some others. */
  readonly repeat?: number;
  /** The connection breaks before a message goes on; the other side sees it closed, not why. */
  readonly cut?: number;
  /** An HTTP call is answered 503 without being passed on, or passed on and its answer lost. */
  readonly failCall?: number;
  /** Answers to calls of these paths stay with the proxy, as they were, until `release`. */
  readonly hold?: RegExp;
  /** Answers a call itself, where it gives a status: as something on the way that is not the service. */
  readonly answer?: (path: string) => number | undefined;
  /** Nothing goes through any more, in neither direction, and nobody is told. */
  readonly isDead?: boolean;
  /** How long each SUBSCRIBE takes, one after the other. */
  readonly subscribeMs?: number;
}

export interface ChaosProxy {
  /** Stands for the API's address; connections negotiated through it come through it as well. */
  readonly url: string;
  mood: Mood;
  /** How many connections are open. */
  readonly connections: number;
  /** How many connections there have been. */
  readonly opened: number;
  /** Breaks all connections, and the calls that a dead network has swallowed. */
  cut(): void;
  /** How many answers are held back. */
  readonly held: number;
  /** Lets go what is held back, and holds nothing any more. */
  release(): void;
  close(): Promise<void>;
}

/** A network between a client and the service that cuts, delays and repeats; `random` decides when. */
export async function startChaosProxy(api: string, random: () => number): Promise<ChaosProxy> {
  const sockets = new Set<WebSocket>();
  const accepting = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  const server = createServer((incoming, answer) => void forward(incoming, answer));
  const held: (() => void)[] = [];
  /** Calls that came while it was dead. */
  const swallowed: ServerResponse[] = [];
  let upstream = "";
  const proxy = {
    url: "",
    mood: {} as Mood,
    opened: 0,
    get connections() {
      return [...sockets].filter(({ readyState }) => readyState === WebSocket.OPEN).length / 2;
    },
    get held() {
      return held.length;
    },
    release() {
      proxy.mood = {};
      for (const letGo of held.splice(0)) letGo();
    },
    cut() {
      for (const socket of sockets) socket.terminate();
      for (const answer of swallowed.splice(0)) answer.destroy();
    },
    async close() {
      proxy.release();
      proxy.cut();
      accepting.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function forward(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    if (proxy.mood.isDead) return void swallowed.push(answer);
    const fails = random() < (proxy.mood.failCall ?? 0);
    if (fails && random() < 0.5) return void answer.writeHead(503).end();
    const status = proxy.mood.answer?.(incoming.url ?? "");
    if (status !== undefined) return void answer.writeHead(status).end("<html></html>");
    await pause();
    const passedOn = request(api + incoming.url, { method: incoming.method, headers: incoming.headers });
    passedOn.once("error", () => answer.destroy());
    passedOn.once("response", async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      if (fails) return void answer.destroy();
      if (proxy.mood.hold?.test(incoming.url ?? "")) await new Promise<void>((resolve) => held.push(resolve));
      const body = incoming.url?.endsWith("/negotiate") ? negotiated(chunks) : Buffer.concat(chunks);
      const { "content-length": _, "transfer-encoding": __, ...headers } = response.headers;
      answer.writeHead(response.statusCode ?? 502, headers).end(body);
    });
    incoming.pipe(passedOn);
  }

  function negotiated(chunks: Buffer[]): string {
    const text = Buffer.concat(chunks).toString();
    // A browser asks first whether it may.
    if (text === "") return text;
    const { url, ...rest } = JSON.parse(text) as { url?: string };
    if (url === undefined) return text;
    const address = new URL(url);
    upstream = address.origin;
    return JSON.stringify({
      ...rest,
      url: `${proxy.url.replace("http", "ws")}${address.pathname}${address.search}`,
    });
  }

  server.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => {});
    const offered = String(incoming.headers["sec-websocket-protocol"] ?? "").split(/,\s*/);
    const target = new WebSocket(upstream + incoming.url, offered);
    sockets.add(target);
    target.once("error", () => socket.destroy());
    target.once("close", () => sockets.delete(target));
    const early: string[] = [];
    const keep = (data: Buffer) => void early.push(data.toString());
    target.on("message", keep);
    target.once("open", () =>
      accepting.handleUpgrade(incoming, socket, head, (client) => {
        proxy.opened += 1;
        sockets.add(client);
        client.once("close", () => sockets.delete(client));
        target.off("message", keep);
        pass(client, target, []);
        pass(target, client, early);
      }),
    );
  });

  /** One direction, in order. */
  function pass(from: WebSocket, to: WebSocket, early: readonly string[]): void {
    let last = Promise.resolve();
    const passOn = async (text: string): Promise<void> => {
      await pause();
      const { subscribeMs = 0 } = proxy.mood;
      if (subscribeMs > 0 && text.startsWith("SUBSCRIBE")) await sleep(subscribeMs);
      if (random() < (proxy.mood.cut ?? 0)) {
        from.terminate();
        to.terminate();
      }
      if (to.readyState === WebSocket.OPEN && !proxy.mood.isDead) to.send(text);
    };
    const take = (text: string): void => {
      last = last.then(() => passOn(text));
      if (random() >= (proxy.mood.repeat ?? 0)) return;
      if (random() < 0.5) last = last.then(() => passOn(text));
      else setTimeout(() => take(text), 100);
    };
    for (const text of early) take(text);
    from.on("message", (data) => take(data.toString()));
    from.on("error", () => {});
    from.once("close", (code, reason) =>
      last.then(() => (code === 1005 || code === 1006 ? to.terminate() : to.close(code, reason))),
    );
  }

  async function pause(): Promise<void> {
    const ms = random() * (proxy.mood.delayMs ?? 0);
    if (ms >= 1) await sleep(ms);
  }

  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  proxy.url = `http://${LOOPBACK}:${(server.address() as { port: number }).port}`;
  return proxy;
}
