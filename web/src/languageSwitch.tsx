import { useLanguage } from "./language.js";

export function LanguageSwitch() {
  const { language, texts, switchLanguage } = useLanguage();
  return (
    <button type="button" className="quiet" lang={language === "en" ? "ko" : "en"} onClick={switchLanguage}>
      {texts.switchLanguage}
    </button>
  );
}
