import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import { begin } from "./beginning.js";
import { keepFilesOut } from "./files.js";
import { LanguageProvider } from "./language.js";
import "./styles.css";

keepFilesOut();
// Until there is something to show, the page shows what index.html has.
const beginning = await begin();
createRoot(document.getElementById("root")!).render(
  <LanguageProvider>
    <App beginning={beginning} />
  </LanguageProvider>,
);
