import type { PendingMessage, Room, RoomMessage } from "@nonstop/chat-client";
import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { copy } from "./clipboard.js";
import { Question } from "./dialog.js";
import { Icon, type IconName } from "./icons.js";
import { useTexts } from "./language.js";
import type { OpenMenu } from "./messageMenuOpening.js";
import { ReadersDialog } from "./readersDialog.js";
import { useReport, useTell } from "./reporting.js";

interface Props {
  readonly room: Room;
  readonly menu: OpenMenu;
  /** The room's. */
  readonly name: string;
  readonly onEdit: (message: PendingMessage) => void;
  readonly onClose: () => void;
}

/** What can be done with a message, and what it asks in between. */
export function MessageMenu({ room, menu, name, onEdit, onClose }: Props) {
  const texts = useTexts();
  const report = useReport();
  const tell = useTell();
  const [next, setNext] = useState<"readers" | "delete">();
  const { message, opener } = menu;
  const close = useCallback(() => {
    onClose();
    // Not where the page would scroll to it.
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  }, [onClose, opener]);
  const remove = (messageId: number) => {
    const log = opener?.closest<HTMLElement>(".log");
    onClose();
    room.deleteForMe(messageId).then(
      // The button goes with its row.
      () => log?.focus({ preventScroll: true }),
      report,
    );
  };
  const copied = () =>
    copy(message.content).then(
      () => tell(texts.copied),
      () => tell(texts.notCopied),
    );
  if (next === "readers" && message.state === "stored")
    return <ReadersDialog room={room} message={message} name={name} onClose={close} />;
  if (next === "delete" && message.state === "stored")
    return (
      <Question
        question={texts.deleteQuestion}
        hint={texts.deleteHint}
        yes={texts.deleteForMe}
        onYes={() => remove(message.messageId)}
        onNo={close}
      />
    );
  const leaving = (action: () => void) => () => {
    close();
    action();
  };
  return (
    <Menu at={menu} label={texts.messageActions} onClose={close}>
      <Item icon="copy" onChoose={leaving(copied)}>
        {message.type === "IMAGE" ? texts.copyAddress : texts.copy}
      </Item>
      <Choices {...{ room, message, onEdit, leaving }} onNext={setNext} />
    </Menu>
  );
}

interface ChoicesProps {
  readonly room: Room;
  readonly message: RoomMessage;
  readonly onEdit: (message: PendingMessage) => void;
  readonly leaving: (action: () => void) => () => void;
  readonly onNext: (next: "readers" | "delete") => void;
}

function Choices({ room, message, onEdit, leaving, onNext }: ChoicesProps) {
  const texts = useTexts();
  if (message.state === "stored")
    return (
      <>
        <Item icon="seen" onChoose={() => onNext("readers")}>
          {texts.whoHasRead}
        </Item>
        <Item icon="bin" isDanger onChoose={() => onNext("delete")}>
          {texts.deleteForMe}
        </Item>
      </>
    );
  if (message.state !== "refused") return null;
  const { clientMessageId } = message;
  return (
    <>
      <Item icon="pen" onChoose={leaving(() => onEdit(message))}>
        {texts.edit}
      </Item>
      <Item icon="again" onChoose={leaving(() => room.retry(clientMessageId))}>
        {texts.retry}
      </Item>
      <Item icon="bin" isDanger onChoose={leaving(() => room.discard(clientMessageId))}>
        {texts.discard}
      </Item>
    </>
  );
}

interface MenuProps {
  readonly at: { readonly x: number; readonly y: number };
  readonly label: string;
  readonly onClose: () => void;
  readonly children: React.ReactNode;
}

const FROM_EDGE_PX = 8;

/** A menu as WAI-ARIA describes it: the arrow keys go through it, Escape and the Tab key leave it. */
function Menu({ at, label, onClose, children }: MenuProps) {
  const menu = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = menu.current!;
    const { offsetWidth, offsetHeight } = element;
    const { clientWidth, clientHeight } = document.documentElement;
    const within = (wanted: number, size: number, all: number) =>
      Math.max(Math.min(wanted, all - size - FROM_EDGE_PX), FROM_EDGE_PX);
    // Where there is no room below, above.
    const y = at.y + offsetHeight + FROM_EDGE_PX > clientHeight ? at.y - offsetHeight : at.y;
    element.style.setProperty("--x", `${within(at.x, offsetWidth, clientWidth)}px`);
    element.style.setProperty("--y", `${within(y, offsetHeight, clientHeight)}px`);
    element.querySelector("button")?.focus({ preventScroll: true });
  }, [at.x, at.y]);
  useEffect(() => {
    window.addEventListener("resize", onClose);
    return () => window.removeEventListener("resize", onClose);
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    const items = [...menu.current!.querySelectorAll("button")];
    const focused = items.indexOf(document.activeElement as HTMLButtonElement);
    const to = {
      ArrowDown: (focused + 1) % items.length,
      ArrowUp: (focused - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (event.key === "Escape" || event.key === "Tab") onClose();
    else if (to !== undefined) items[to]?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <>
      {/* What is outside closes it, and nothing else. */}
      <div
        className="menuVeil"
        aria-hidden="true"
        onClick={onClose}
        onContextMenu={(event) => {
          event.preventDefault();
          onClose();
        }}
      />
      <div ref={menu} className="menu" role="menu" aria-label={label} tabIndex={-1} onKeyDown={onKeyDown}>
        {children}
      </div>
    </>
  );
}

interface ItemProps {
  readonly icon: IconName;
  readonly isDanger?: boolean;
  readonly onChoose: () => void;
  readonly children: string;
}

function Item({ icon, isDanger = false, onChoose, children }: ItemProps) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      className={isDanger ? "menuItem warns" : "menuItem"}
      onClick={onChoose}
    >
      <Icon name={icon} />
      {children}
    </button>
  );
}
