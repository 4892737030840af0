import type { PendingMessage, Room, RoomMessage } from "@nonstop/chat-client";
import { useCallback, useState } from "react";
import { copy } from "./clipboard.js";
import { Question } from "./dialog.js";
import { useTexts } from "./language.js";
import { Menu, MenuItem } from "./menu.js";
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

/** The menu of a message, or a dialog that one of its items has opened. */
export function MessageMenu({ room, menu, name, onEdit, onClose }: Props) {
  const texts = useTexts();
  const [dialog, setDialog] = useState<"readers" | "delete">();
  const { message, opener } = menu;
  const close = useCallback(() => {
    onClose();
    // The log must not scroll to the button that gets the focus back.
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  }, [onClose, opener]);
  if (dialog === "readers" && message.state === "stored")
    return <ReadersDialog room={room} message={message} name={name} onClose={close} />;
  if (dialog === "delete" && message.state === "stored")
    return <Delete {...{ room, opener, onClose }} messageId={message.messageId} onCancel={close} />;
  const closing = (action: () => void) => () => {
    close();
    action();
  };
  return (
    <Menu at={menu} label={texts.messageActions} onClose={close}>
      <CopyItem message={message} closing={closing} />
      {message.state === "stored" && <StoredItems onDialog={setDialog} />}
      {message.state === "refused" && <RefusedItems {...{ room, message, onEdit, closing }} />}
    </Menu>
  );
}

/** Makes an item's action close the menu before it does something. */
type Closing = (action: () => void) => () => void;

function CopyItem({ message, closing }: { readonly message: RoomMessage; readonly closing: Closing }) {
  const texts = useTexts();
  const tell = useTell();
  const onChoose = closing(() =>
    copy(message.content).then(
      () => tell(texts.copied),
      () => tell(texts.notCopied),
    ),
  );
  return (
    <MenuItem icon="copy" onChoose={onChoose}>
      {message.type === "IMAGE" ? texts.copyAddress : texts.copy}
    </MenuItem>
  );
}

function StoredItems({ onDialog }: { readonly onDialog: (dialog: "readers" | "delete") => void }) {
  const texts = useTexts();
  return (
    <>
      <MenuItem icon="seen" onChoose={() => onDialog("readers")}>
        {texts.whoHasRead}
      </MenuItem>
      <MenuItem icon="bin" isDanger onChoose={() => onDialog("delete")}>
        {texts.deleteForMe}
      </MenuItem>
    </>
  );
}

interface RefusedItemsProps extends Pick<Props, "room" | "onEdit"> {
  readonly message: PendingMessage;
  readonly closing: Closing;
}

function RefusedItems({ room, message, onEdit, closing }: RefusedItemsProps) {
  const texts = useTexts();
  const { clientMessageId } = message;
  return (
    <>
      <MenuItem icon="pen" onChoose={closing(() => onEdit(message))}>
        {texts.edit}
      </MenuItem>
      <MenuItem icon="again" onChoose={closing(() => room.retry(clientMessageId))}>
        {texts.retry}
      </MenuItem>
      <MenuItem icon="bin" isDanger onChoose={closing(() => room.discard(clientMessageId))}>
        {texts.discard}
      </MenuItem>
    </>
  );
}

interface DeleteProps extends Pick<Props, "room" | "onClose"> {
  readonly messageId: number;
  readonly opener: HTMLElement | undefined;
  readonly onCancel: () => void;
}

function Delete({ room, messageId, opener, onClose, onCancel }: DeleteProps) {
  const texts = useTexts();
  const report = useReport();
  const remove = () => {
    const log = opener?.closest<HTMLElement>(".log");
    onClose();
    // The button that would get the focus back goes with its row.
    room.deleteForMe(messageId).then(() => log?.focus({ preventScroll: true }), report);
  };
  return (
    <Question
      question={texts.deleteQuestion}
      hint={texts.deleteHint}
      yes={texts.deleteForMe}
      onYes={remove}
      onNo={onCancel}
    />
  );
}
