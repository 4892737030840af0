import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";

const MOST_BYTES = 17 * 1_024;

/**
 * All of the client that a page loads, without the SDK. Vite leaves the spaces in a library unless told
 * otherwise.
 */
async function bundled(): Promise<string> {
  const output = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      lib: { entry: join(projectRoot, "client/dist/index.js"), formats: ["es"] },
      rolldownOptions: { external: ["@azure/web-pubsub-client"], output: { minify: true } },
      minify: true,
      write: false,
    },
  })) as Rolldown.RolldownOutput[];
  return output
    .flatMap(({ output }) => output.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")))
    .join("");
}

test("the client costs a page less than 17 KiB, compressed", async () => {
  const code = await bundled();
  expect(code).toContain("last-seq");
  expect(gzipSync(code).length).toBeLessThan(MOST_BYTES);
});
