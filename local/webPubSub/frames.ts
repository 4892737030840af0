/**
 * The most a client may send in one message, and a REST call or an upstream answer may send to clients: 1 MB.
 */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * One whole, unmasked WebSocket message as it goes on the wire (RFC 6455 §5.2). Server frames carry no mask
 * and no extension is negotiated, so the same bytes serve every receiver.
 */
export function encodeFrame(payload: Buffer, isBinary: boolean): Buffer {
  const length = payload.length;
  const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame[0] = isBinary ? 0x82 : 0x81; // FIN, opcode 2 or 1
  if (headerBytes === 2) {
    frame[1] = length;
  } else if (headerBytes === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(length, 6);
  }
  payload.copy(frame, headerBytes);
  return frame;
}
