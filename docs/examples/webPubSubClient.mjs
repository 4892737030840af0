// Azure's own client SDK, made to speak STOMP: says hello in the room with user 2, and prints what comes there until
// Ctrl+C or until the service ends the session for good, for example by a logout.
import { WebPubSubClient } from "@azure/web-pubsub-client";
import { isFinal, stompProtocol } from "@nonstop/chat-client";

const { TOKEN, API = "http://127.0.0.1:7071" } = process.env;

async function post(path, body) {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const response = await fetch(`${API}/api/v1/chat${path}`, { method: "POST", headers, body });
  if (!response.ok) throw new Error(`${path}: is TOKEN set? ${await response.text()}`);
  return await response.json();
}

// Asked again for each reconnect. The SDK can't send CONNECT, so that the handshake has to stand for it.
async function getClientAccessUrl() {
  const url = new URL((await post("/negotiate", "{}")).url);
  url.searchParams.set("connect", "implicit");
  return url.href;
}

const client = new WebPubSubClient(
  { getClientAccessUrl },
  { protocol: stompProtocol(), keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0 },
);
client.on("group-message", ({ message: { data } }) => {
  if (data.type === "ERROR") console.error(`refused: ${data.code} ${data.message}`);
  else console.log(`${data.senderNickname}: ${data.content}`);
});
client.on("server-message", ({ message: { data } }) => {
  console.error(`closed: ${data.code} ${data.message}`);
  if (isFinal(data.code)) client.stop();
});

const { roomId } = await post("/rooms", JSON.stringify({ targetUserId: 2 }));
await client.start();
await client.joinGroup("/user/queue/errors");
await client.joinGroup(`/sub/chat/room/${roomId}`);
// The SDK sends again after a lost connection: with the same clientMessageId it is stored once.
const message = { content: "Hello", clientMessageId: crypto.randomUUID() };
await client.sendToGroup(`/sub/chat/room/${roomId}`, message, "json");
