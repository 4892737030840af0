import type { RoomMessage } from "@nonstop/chat-client";
import { isAddress, type Piece, piecesOf } from "./links.js";
import { Picture } from "./picture.js";

interface Props {
  readonly message: RoomMessage;
  /** The sender's name. */
  readonly sender: string;
}

/** A message's picture, or its text with links and code. */
export function MessageContent({ message: { type, content }, sender }: Props) {
  if (type === "IMAGE" && isAddress(content)) return <Picture address={content} sender={sender} />;
  return (
    <div className="bubble" dir="auto">
      {piecesOf(content).map((piece, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a text's pieces never change
        <TextPiece key={index} piece={piece} />
      ))}
    </div>
  );
}

function TextPiece({ piece }: { readonly piece: Piece }) {
  if (piece.kind === "text") return piece.text;
  if (piece.kind !== "link") return <code className={piece.kind}>{piece.text}</code>;
  return (
    <bdi className="link">
      <a href={piece.href} target="_blank" rel="noopener noreferrer">
        {piece.text}
      </a>
      {piece.host && <span className="host"> ({piece.host})</span>}
    </bdi>
  );
}
