import type { ChatError } from "@nonstop/chat-client";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { caught } from "./caught.js";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";

const SHOWN_MS = 10_000;

interface Reports {
  readonly report: (thrown: unknown) => void;
  readonly tell: (text: string) => void;
}
const Context = createContext<Reports>({ report: () => {}, tell: () => {} });

/** Tells the user that something they asked for did not work. It takes any caught value. */
export const useReport = () => useContext(Context).report;
/** Tells the user that something was done. */
export const useTell = () => useContext(Context).tell;

type News =
  | { readonly kind: "failure"; readonly error: ChatError | undefined }
  | { readonly kind: "done"; readonly text: string };

interface Props {
  /** A dialog shows its own reports: while it is open, assistive technology hears nothing outside of it. */
  readonly isDialog?: boolean;
  readonly children: ReactNode;
}

/** Shows for some seconds what its children tell `useReport` and `useTell`. */
export function Reporting({ isDialog = false, children }: Props) {
  // Each report is a new object: the same report again is shown for as long again.
  const [news, setNews] = useState<News>();
  const dismiss = useCallback(() => setNews(undefined), []);
  const reports = useMemo(
    (): Reports => ({
      report: (thrown) => setNews({ kind: "failure", error: caught(thrown) }),
      tell: (text) => setNews({ kind: "done", text }),
    }),
    [],
  );
  useEffect(() => {
    if (!news) return;
    const timer = setTimeout(dismiss, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [news, dismiss]);
  return (
    <Context value={reports}>
      {children}
      {/* A live region is read out only if it was there before its text. */}
      <div className={isDialog ? "report inDialog" : "report"} role="status">
        {news && <NewsBox news={news} onDismiss={dismiss} />}
      </div>
    </Context>
  );
}

function NewsBox({ news, onDismiss }: { readonly news: News; readonly onDismiss: () => void }) {
  const texts = useTexts();
  return (
    <div className={news.kind === "failure" ? "reportBox" : "reportBox fine"}>
      <p>{news.kind === "failure" ? errorText(news.error, texts) : news.text}</p>
      <button type="button" className="round" aria-label={texts.dismiss} onClick={onDismiss}>
        <Icon name="close" />
      </button>
    </div>
  );
}
