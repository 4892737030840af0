import { Icon } from "./icons.js";
import { useLanguage } from "./language.js";

export function LanguageSwitch() {
  const { language, texts, switchLanguage } = useLanguage();
  return (
    <button type="button" className="quiet" lang={language === "en" ? "ko" : "en"} onClick={switchLanguage}>
      <Icon name="globe" />
      {texts.switchLanguage}
    </button>
  );
}
