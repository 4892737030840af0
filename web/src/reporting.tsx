import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";

const SHOWN_MS = 10_000;

interface Reports {
  readonly report: (error: Error) => void;
  readonly tell: (text: string) => void;
}
const Context = createContext<Reports>({ report: () => {}, tell: () => {} });

/** Tells the user that something they asked for did not work. */
export const useReport = () => useContext(Context).report;
/** Tells the user that something was done. */
export const useTell = () => useContext(Context).tell;

interface Props {
  /** A dialog says what went wrong in it by itself: while it is open, nothing outside of it is heard. */
  readonly isDialog?: boolean;
  readonly children: ReactNode;
}

/** Where what `useReport` and `useTell` are told of everything within is shown, for some seconds. */
export function Reporting({ isDialog = false, children }: Props) {
  const texts = useTexts();
  // Another object each time: the same once more is shown as long again.
  const [news, setNews] = useState<{ readonly error?: Error; readonly text?: string }>();
  const dismiss = useCallback(() => setNews(undefined), []);
  const reports = useMemo(
    () => ({ report: (error: Error) => setNews({ error }), tell: (text: string) => setNews({ text }) }),
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
      {/* There before it says something, so that it is read out. */}
      <div className={isDialog ? "report inDialog" : "report"} role="status">
        {news && (
          <div className={news.error ? "reportBox" : "reportBox fine"}>
            <p>{news.text ?? errorText(news.error, texts)}</p>
            <button type="button" className="round" aria-label={texts.dismiss} onClick={dismiss}>
              <Icon name="close" />
            </button>
          </div>
        )}
      </div>
    </Context>
  );
}
