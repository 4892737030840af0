// A stock STOMP client, @stomp/stompjs: sends each line you type to the room with user 2 and prints what is written there.
// It shows refusals, comes back after a lost connection without missing or repeating anything, and stays away when the
// service has ended its session.
import { createInterface } from "node:readline";
import { Client, ReconnectionTimeMode } from "@stomp/stompjs";
import WebSocket from "ws";

const { TOKEN, API = "http://127.0.0.1:7071", CHAT = "ws://127.0.0.1:8080/client/hubs/chat" } = process.env;
const request = {
  method: "POST",
  headers: { authorization: `Bearer ${TOKEN}` },
  body: JSON.stringify({ targetUserId: 2 }),
};
const made = await fetch(`${API}/api/v1/chat/rooms`, request);
if (!made.ok) throw new Error(`no room, is TOKEN set? ${await made.text()}`);
const { roomId } = await made.json();

let lastSeq = 0; // of the last message that was printed
const outbox = []; // what the service has not accepted yet, the first of it on its way

const client = new Client({
  // A token that can run out belongs here: ask for a new one in beforeConnect.
  webSocketFactory: () => new WebSocket(`${CHAT}?token=${TOKEN}`, ["v12.stomp"]),
  connectionTimeout: 20_000,
  reconnectDelay: 1_000,
  reconnectTimeMode: ReconnectionTimeMode.EXPONENTIAL,
  maxReconnectDelay: 30_000,
  // The service sends something at least once a minute, so that a dead network is noticed within three.
  heartbeatIncoming: 60_000,
  heartbeatOutgoing: 0,
  discardWebsocketOnCommFailure: true,
});

client.onConnect = () => {
  console.error("connected");
  client.subscribe("/user/queue/errors", refused); // first, so that the others' refusals come there
  client.subscribe("/user/queue/session", ({ body }) =>
    console.error(`session ended: ${JSON.parse(body).reason}`),
  );
  joinRoom();
  sendFirst();
};
client.onWebSocketClose = () => {
  if (client.active) console.error("not connected, trying again");
};

/** What was written since the last printed message comes first; at the very first time the last 200. */
function joinRoom() {
  client.subscribe(`/sub/chat/room/${roomId}`, print, { "last-seq": String(lastSeq) });
}

/** One after the other, so that they stay in order. Sent again with the same clientMessageId, it is stored once. */
function sendFirst() {
  const [first] = outbox;
  if (first === undefined || !client.connected) return;
  const { id, content } = first;
  client.watchForReceipt(id, () => {
    console.error("accepted");
    sendNext(id);
  });
  const body = JSON.stringify({ roomId, content, clientMessageId: id });
  client.publish({ destination: "/pub/chat/message", headers: { receipt: id }, body });
}

function sendNext(done) {
  if (outbox[0]?.id !== done) return;
  outbox.shift();
  sendFirst();
}

function print({ headers, body }) {
  const { seq, senderNickname, content } = JSON.parse(body);
  if (seq <= lastSeq) return;
  if (headers.gap) console.error("more than 200 were missed: the history has the others");
  lastSeq = seq;
  console.log(`${senderNickname}: ${content}`);
}

/** Whether the same can be sent again. */
const passes = (code) => code === "UNAVAILABLE" || code === "RATE_LIMIT_EXCEEDED";

function refused({ body }) {
  const { code, message, retryAfter = 1, clientMessageId } = JSON.parse(body);
  console.error(`refused: ${code} ${message}`);
  // What has no clientMessageId is the SUBSCRIBE to the room.
  if (passes(code)) setTimeout(clientMessageId ? sendFirst : joinRoom, retryAfter * 1_000);
  else sendNext(clientMessageId);
}

// The service's last word before it closes. After SESSION_CLOSED (another device has the place, or a logout) coming back
// would only end the other one; and what else comes here would come again, unless it passes.
client.onStompError = ({ body }) => {
  const { code, message } = JSON.parse(body);
  console.error(`closed: ${code} ${message}`);
  if (passes(code)) return;
  client.deactivate();
  process.exitCode = 1;
  process.stdin.destroy();
};

client.activate();
for await (const content of createInterface({ input: process.stdin })) {
  outbox.push({ id: crypto.randomUUID(), content });
  if (outbox.length === 1) sendFirst();
}
