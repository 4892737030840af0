import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../../local/settings.js";

// Plain JavaScript without declarations: imported by address.
const { isBuilt } = await import(pathToFileURL(join(projectRoot, "local/setupBuild.mjs")).href);

/**
 * Before the tests of a project: throws unless `dist` was built from the sources as they are. The stack and
 * the page run from `dist`, so tests of an older build would say nothing about the sources.
 */
export default function requireBuild(): void {
  if (!isBuilt(projectRoot))
    throw new Error(
      "The build in dist is missing or older than the sources. Run `npm run build:local` first, " +
        "or run the tests by `npm test`, which builds.",
    );
}
