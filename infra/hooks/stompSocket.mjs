/** As much of a STOMP client as a smoke test needs. */
import WebSocket from "ws";

const ESCAPES = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c" };

/** The text of a STOMP 1.2 frame; headers are escaped as its section "Value Encoding" says. */
export function encodeFrame(command, headers, body = "") {
  const escaped = (text) => String(text).replace(/[\\\n\r:]/g, (one) => ESCAPES[one]);
  const lines = Object.entries(headers).map(([name, value]) => `${escaped(name)}:${escaped(value)}\n`);
  return `${command}\n${lines.join("")}\n${body}\0`;
}

/** The frames of a WebSocket message, each with its command, headers and body. */
export function decodeFrames(text) {
  return text
    .split("\0")
    .map((part) => part.replace(/^\n+/, ""))
    .filter((part) => part !== "")
    .map((part) => {
      const end = part.indexOf("\n\n");
      const [command, ...lines] = part.slice(0, end).split("\n");
      const headers = Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
      );
      return { command, headers, body: part.slice(end + 2) };
    });
}

/**
 * Opens a socket for STOMP 1.2 and resolves when it is open. `frame` resolves with the first frame, of those
 * that have come and those that will, that fits; it rejects at an ERROR frame and when the socket closes.
 */
export async function openStomp(url, timeoutMs) {
  const socket = new WebSocket(url, ["v12.stomp"], { handshakeTimeout: timeoutMs });
  const [frames, waiting] = [[], new Set()];
  let end;
  const look = () => {
    for (const one of waiting) one();
  };
  socket.on("message", (data) => {
    frames.push(...decodeFrames(data.toString()));
    look();
  });
  const ended = (reason) => {
    end ??= new Error(reason);
    look();
  };
  socket.on("close", (code, reason) => ended(`the socket was closed with ${code} ${reason}`));
  socket.on("error", (error) => ended(error.message));
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  const frame = (fits) =>
    new Promise((resolve, reject) => {
      const one = () => {
        const error = frames.find(({ command }) => command === "ERROR");
        const found = frames.find(fits);
        if (found === undefined && error === undefined && end === undefined) return;
        waiting.delete(one);
        if (found !== undefined) resolve(found);
        else reject(error ? new Error(`ERROR ${error.body}`) : end);
      };
      waiting.add(one);
      one();
    });
  return { frame, send: (...parts) => socket.send(encodeFrame(...parts)), close: () => socket.terminate() };
}
