import { type StoredMessage, subjectsOf } from "@nonstop/chat-client";
import { useState } from "react";
import { Dialog } from "./dialog.js";
import { useTexts } from "./language.js";
import { Name, Phrase } from "./name.js";
import { systemSentence } from "./systemText.js";

interface Props {
  readonly message: StoredMessage;
  /** The row's `data-` attributes. */
  readonly data: object;
}

/** A message of the service about a change of the room. A dialog lists all who were invited. */
export function SystemRow({ message, data }: Props) {
  const texts = useTexts();
  const [isListed, setListed] = useState(false);
  const sentence = systemSentence(message, texts);
  if (!sentence) return null;
  return (
    <li className="system" {...data}>
      <span>
        <Phrase {...sentence} />
      </span>
      {sentence.others > 0 && (
        <button type="button" className="quiet" aria-haspopup="dialog" onClick={() => setListed(true)}>
          {texts.showAll}
        </button>
      )}
      {isListed && (
        <Dialog title={texts.invitedTitle} onClose={() => setListed(false)}>
          <ul className="names">
            {subjectsOf(message).map((one) => (
              <li key={one.userId}>
                <Name of={one} />
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </li>
  );
}
