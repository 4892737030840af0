import { piecesKey } from "./keys.js";
import type { Pieces } from "./ports.js";
import type { Asking } from "./scripts.js";

/** Pieces of frames in Redis: each frame is one string, to which the pieces are written at their offsets. */
export function pieces({ run, script }: Asking): Pieces {
  return {
    async keepPiece(userId, frame, offset, bytes) {
      const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return (await script<number>("keepPiece", [piecesKey(userId, frame)], { offset }, piece)) === 1;
    },
    async readPieces(userId, frame, length) {
      const key = piecesKey(userId, frame);
      const bytes = await run(key, (commands) => commands.getStart(key, length));
      return bytes?.length === length ? bytes : undefined;
    },
  };
}
