/**
 * A WebSocket message of several frames has at most this many bytes, well inside the service's limit of 1 MB.
 */
const PACKED_BYTES = 512 * 1024;

/**
 * Frames as WebSocket messages, in order: one frame each, or, for receivers that take several, as few
 * messages as their bytes allow.
 */
export const textsOf = (frames: readonly string[], packed: boolean): readonly string[] =>
  packed ? packFrames(frames) : frames;

/**
 * Frames one after another in as few WebSocket messages as their bytes allow. A frame that is larger than the
 * limit gets a message of its own.
 */
export function packFrames(frames: readonly string[], limit = PACKED_BYTES): string[] {
  const packed: string[] = [];
  let text = "";
  let bytes = 0;
  for (const frame of frames) {
    const length = Buffer.byteLength(frame);
    if (bytes > 0 && bytes + length > limit) {
      packed.push(text);
      text = "";
      bytes = 0;
    }
    text += frame;
    bytes += length;
  }
  if (bytes > 0) packed.push(text);
  return packed;
}
