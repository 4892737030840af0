import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { keptByBrowser } from "./kept.js";
import { en, type Texts } from "./texts/en.js";
import { ko } from "./texts/ko.js";

const LANGUAGES = { en, ko };
export type Language = keyof typeof LANGUAGES;

interface Speaking {
  readonly language: Language;
  readonly texts: Texts;
  readonly switchLanguage: () => void;
}

const Context = createContext<Speaking>({ language: "en", texts: en, switchLanguage: () => {} });
const KEY = "nonstop-language";

/** The language that the user chose before, or the first known one of the browser's. */
function initial(): Language {
  const chosen = keptByBrowser.get(KEY);
  if (chosen === "en" || chosen === "ko") return chosen;
  const preferred = navigator.languages.map((one) => one.split("-")[0]);
  return preferred.find((one) => one === "en" || one === "ko") ?? "en";
}

export function LanguageProvider({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState(initial);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const switchLanguage = () => {
    const next = language === "en" ? "ko" : "en";
    keptByBrowser.set(KEY, next);
    setLanguage(next);
  };
  return <Context value={{ language, texts: LANGUAGES[language], switchLanguage }}>{children}</Context>;
}

export const useLanguage = () => useContext(Context);
export const useTexts = () => useContext(Context).texts;
