import type { PendingMessage, Room } from "@nonstop/chat-client";
import { type KeyboardEvent, type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { isAddress } from "./links.js";
import { hasKeyboard } from "./screen.js";
import { useWriting } from "./writing.js";

/** The number of characters that are left is shown when it is lower than this. */
const TELL_BELOW = 500;

interface Props {
  readonly room: Room;
  /** The refused message that is edited; undefined for a new message. */
  readonly editing: PendingMessage | undefined;
  /** The message was sent again, or the user cancelled. */
  readonly onEdited: () => void;
}

/** Where a message is written. */
export function Composer({ room, editing, onEdited }: Props) {
  const texts = useTexts();
  const { text, left, isReady, change, send } = useWriting(room, editing, onEdited);
  const area = useRef<HTMLTextAreaElement>(null);
  useFocusAtEnd(area, editing !== undefined);
  useHeightOf(area, text);
  const sendAs = (type: "TEXT" | "IMAGE") => {
    if (!isReady) return;
    send(type);
    if (!editing) area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && editing) onEdited();
    if (!isEnter(event)) return;
    event.preventDefault();
    sendAs("TEXT");
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        sendAs("TEXT");
      }}
    >
      {editing && <Editing onCancel={onEdited} />}
      {isAddress(text.trim()) && <AsPicture address={text.trim()} onSend={() => sendAs("IMAGE")} />}
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
        <SendButton isReady={isReady} />
      </div>
      <Left count={left} />
    </form>
  );
}

/**
 * Enter without Shift. While a syllable is being composed, Enter belongs to the input method (`keyCode` 229).
 */
const isEnter = ({ key, shiftKey, keyCode, nativeEvent }: KeyboardEvent): boolean =>
  key === "Enter" && !shiftKey && !nativeEvent.isComposing && keyCode !== 229;

/** Puts the cursor behind the text, where that does not open a phone's keyboard unasked. */
function useFocusAtEnd(area: RefObject<HTMLTextAreaElement | null>, isEditing: boolean): void {
  useEffect(() => {
    const element = area.current!;
    if (isEditing || hasKeyboard()) element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, [area, isEditing]);
}

/** Makes the field as high as its text, up to what the style sheet allows. */
function useHeightOf(area: RefObject<HTMLTextAreaElement | null>, text: string): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    const element = area.current!;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [area, text]);
}

function Editing({ onCancel }: { readonly onCancel: () => void }) {
  const texts = useTexts();
  return (
    <div className="editing">
      <Icon name="pen" />
      <p>{texts.editing}</p>
      <button type="button" className="quiet" onClick={onCancel}>
        {texts.cancel}
      </button>
    </div>
  );
}

/** Offers to send an address as a picture. */
function AsPicture({ address, onSend }: { readonly address: string; readonly onSend: () => void }) {
  const texts = useTexts();
  return (
    <div className="asPicture">
      <button type="button" className="quiet" onClick={onSend} aria-describedby="asPicture">
        {texts.asPicture}
      </button>
      <p id="asPicture">{texts.asPictureHint(new URL(address).host)}</p>
    </div>
  );
}

function SendButton({ isReady }: { readonly isReady: boolean }) {
  const texts = useTexts();
  return (
    <button
      type="submit"
      className="round send"
      aria-label={texts.send}
      title={texts.send}
      disabled={!isReady}
    >
      <Icon name="send" />
    </button>
  );
}

/** How many characters are left. It is read out only when there are too many, not with each character. */
function Left({ count }: { readonly count: number }) {
  const texts = useTexts();
  return (
    <div aria-live={count < 0 ? "polite" : "off"}>
      {count < TELL_BELOW && (
        <p id="left" className={count < 0 ? "left over" : "left"}>
          {count < 0 ? texts.tooLong(-count) : texts.charactersLeft(count)}
        </p>
      )}
    </div>
  );
}
