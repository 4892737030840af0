import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";

/** It was 15 until refused messages could be changed, readers be named, and the list of rooms no longer could subtract what is unread. */
const MOST_BYTES = 18 * 1_024;

/** All of the client that a page loads, minified, without the SDK. */
async function bundled(): Promise<string> {
  const output = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      lib: { entry: join(projectRoot, "client/dist/index.js"), formats: ["es"] },
      rolldownOptions: { external: ["@azure/web-pubsub-client"] },
      minify: true,
      write: false,
    },
  })) as Rolldown.RolldownOutput[];
  return output
    .flatMap(({ output }) => output.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")))
    .join("");
}

test("the client costs a page less than 18 KiB, compressed", async () => {
  const code = await bundled();
  expect(code).toContain("last-seq");
  expect(gzipSync(code).length).toBeLessThan(MOST_BYTES);
});
