// The chat client: says hello in the room with user 2, prints what comes and what became of it, and ends.
import { ChatClient } from "@nonstop/chat-client";

const { TOKEN, API = "http://127.0.0.1:7071" } = process.env;
const client = new ChatClient({ url: API, token: () => TOKEN });
client.on("message", ({ senderNickname, content }) => console.log(`${senderNickname}: ${content}`));
await client.connect();
const room = client.open(await client.openWith(2));
// From here on what is written comes as an event; what was written before is in `room.messages`.
await room.ready;
const { seq, unreadCount } = await room.send("Hello");
console.log(`stored as number ${seq}, not read yet by ${unreadCount}`);
await client.disconnect();
