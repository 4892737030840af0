import { type ReactNode, useEffect, useId, useRef } from "react";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { Reporting } from "./reporting.js";

interface Props {
  readonly title: ReactNode;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** A modal dialog: the browser keeps the focus in it, closes it on Escape, and gives the focus back. */
export function Dialog({ title, onClose, children }: Props) {
  const texts = useTexts();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current!;
    const opener = document.activeElement;
    element.showModal();
    return () => {
      element.close();
      // The browser gives the focus back only if the dialog is closed while it is in the page.
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="dialogHead">
        <h2 id={id}>{title}</h2>
        <button type="button" className="round" aria-label={texts.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <Reporting isDialog>{children}</Reporting>
    </dialog>
  );
}

interface QuestionProps {
  readonly question: ReactNode;
  readonly hint?: string;
  readonly yes: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** Asks the user to confirm what can't be undone. */
export function Question({ question, hint, yes, onYes, onNo }: QuestionProps) {
  const texts = useTexts();
  return (
    <Dialog title={question} onClose={onNo}>
      {hint && <p className="muted">{hint}</p>}
      <footer className="dialogFoot">
        <button type="button" className="quiet" onClick={onNo}>
          {texts.cancel}
        </button>
        <button type="button" className="danger" onClick={onYes}>
          {yes}
        </button>
      </footer>
    </Dialog>
  );
}
