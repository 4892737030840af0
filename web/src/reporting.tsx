import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";

const SHOWN_MS = 10_000;
const Context = createContext<(error: Error) => void>(() => {});

/** Tells the user that something they asked for did not work. */
export const useReport = () => useContext(Context);

interface Props {
  /** A dialog says what went wrong in it by itself: while it is open, nothing outside of it is heard. */
  readonly isDialog?: boolean;
  readonly children: ReactNode;
}

/** Where `useReport` of everything within is shown, for some seconds. */
export function Reporting({ isDialog = false, children }: Props) {
  const texts = useTexts();
  const [error, setError] = useState<Error>();
  useEffect(() => {
    if (!error) return;
    const timer = setTimeout(() => setError(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [error]);
  return (
    <Context value={setError}>
      {children}
      {/* There before it says something, so that it is read out. */}
      <div className={isDialog ? "report inDialog" : "report"} role="status">
        {error && (
          <div className="reportBox">
            <p>{errorText(error, texts)}</p>
            <button
              type="button"
              className="round"
              aria-label={texts.dismiss}
              onClick={() => setError(undefined)}
            >
              <Icon name="close" />
            </button>
          </div>
        )}
      </div>
    </Context>
  );
}
