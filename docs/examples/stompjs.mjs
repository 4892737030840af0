// A stock STOMP client: says hello in the room with user 2, prints it as every member gets it, and ends.
import { Client } from "@stomp/stompjs";
import WebSocket from "ws";

const { TOKEN, API = "http://127.0.0.1:7071", CHAT = "ws://127.0.0.1:8080/client/hubs/chat" } = process.env;
const headers = { authorization: `Bearer ${TOKEN}` };
const body = JSON.stringify({ targetUserId: 2 });
const made = await fetch(`${API}/api/v1/chat/rooms`, { method: "POST", headers, body });
if (!made.ok) throw new Error(`no room, is TOKEN set? ${await made.text()}`);
const { roomId } = await made.json();

const webSocketFactory = () => new WebSocket(`${CHAT}?token=${TOKEN}`, ["v12.stomp"]);
const client = new Client({ webSocketFactory });
client.onConnect = () => {
  client.subscribe(`/sub/chat/room/${roomId}`, ({ body }) => {
    console.log(body);
    client.deactivate();
  });
  client.publish({ destination: "/pub/chat/message", body: JSON.stringify({ roomId, content: "Hello" }) });
};
// Without a subscription to /user/queue/errors each refusal is an ERROR frame.
client.onStompError = (frame) => {
  console.error(frame.body);
  client.deactivate();
};
client.activate();
