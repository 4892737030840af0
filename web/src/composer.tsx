import type { ChatError, PendingMessage, Room } from "@nonstop/chat-client";
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { draftIn, keepDraft } from "./drafts.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { isAddress } from "./links.js";
import { useReport } from "./reporting.js";
import { hasKeyboard } from "./screen.js";
import { useSession } from "./session.js";

/** The service counts characters, not UTF-16 units. */
const MOST_CHARACTERS = 5_000;
const TELL_BELOW = 500;

interface Props {
  readonly room: Room;
  /** A refused message that is changed, instead of a new one. */
  readonly editing: PendingMessage | undefined;
  readonly onDone: () => void;
}

export function Composer({ room, editing, onDone }: Props) {
  const { me } = useSession();
  const report = useReport();
  const texts = useTexts();
  const [text, setText] = useState(() => editing?.content ?? draftIn(me.userId, room.roomId));
  const area = useRef<HTMLTextAreaElement>(null);
  const left = MOST_CHARACTERS - [...text].length;
  const isReady = text.trim() !== "" && left >= 0;

  const isEditing = editing !== undefined;
  useEffect(() => {
    const element = area.current!;
    if (isEditing || hasKeyboard()) element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, [isEditing]);
  // As high as its text, up to what the style sheet allows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    const element = area.current!;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (next: string) => {
    setText(next);
    // What one had begun to write waits meanwhile.
    if (!editing) keepDraft(me.userId, room.roomId, next);
  };
  const send = (type: "TEXT" | "IMAGE" = "TEXT") => {
    if (!isReady) return;
    if (editing) {
      // Refused once more, it is shown beside the message.
      room.edit(editing.clientMessageId, text.trim(), { type }).catch(() => {});
      onDone();
      return;
    }
    // A refusal is shown beside the message; what didn't become one is given back.
    room.send(text.trim(), { type }).catch((error: ChatError) => {
      if (error.code !== "OUTBOX_FULL" && error.code !== "NOT_SUPPORTED") return;
      report(error);
      change(text);
    });
    change("");
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && editing) onDone();
    // Enter also ends a syllable that is being put together.
    const isComposing = event.nativeEvent.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {editing && (
        <div className="editing">
          <Icon name="pen" />
          <p>{texts.editing}</p>
          <button type="button" className="quiet" onClick={onDone}>
            {texts.cancel}
          </button>
        </div>
      )}
      {isAddress(text.trim()) && (
        <div className="asPicture">
          <button type="button" className="quiet" onClick={() => send("IMAGE")} aria-describedby="asPicture">
            {texts.asPicture}
          </button>
          <p id="asPicture">{texts.asPictureHint(new URL(text.trim()).host)}</p>
        </div>
      )}
      <div className="write">
        <textarea
          ref={area}
          rows={1}
          value={text}
          aria-label={editing ? texts.editing : texts.write}
          placeholder={texts.write}
          aria-describedby={left < TELL_BELOW ? "left" : undefined}
          aria-invalid={left < 0}
          dir="auto"
          enterKeyHint="send"
          onChange={({ target }) => change(target.value)}
          onKeyDown={onKeyDown}
        />
        <button
          type="submit"
          className="round send"
          aria-label={texts.send}
          title={texts.send}
          disabled={!isReady}
        >
          <Icon name="send" />
        </button>
      </div>
      {/* Read out only when it can't be sent, not with each character. */}
      <div aria-live={left < 0 ? "polite" : "off"}>
        {left < TELL_BELOW && (
          <p id="left" className={left < 0 ? "left over" : "left"}>
            {left < 0 ? texts.tooLong(-left) : texts.left5000(left)}
          </p>
        )}
      </div>
    </form>
  );
}
