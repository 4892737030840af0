import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import { begin } from "./beginning.js";
import { keepFilesOut } from "./files.js";
import { LanguageProvider } from "./language.js";
import "./styles.css";

keepFilesOut();
// What index.html shows stays until there is something to take its place.
const beginning = await begin();
createRoot(document.getElementById("root")!).render(
  <LanguageProvider>
    <App beginning={beginning} />
  </LanguageProvider>,
);
