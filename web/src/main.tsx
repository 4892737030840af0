import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import { LanguageProvider } from "./language.js";
import "./styles.css";

createRoot(document.getElementById("root")!).render(
  <LanguageProvider>
    <App />
  </LanguageProvider>,
);
