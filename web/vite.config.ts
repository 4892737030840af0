import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The page's server of a running `npm start`. It answers only requests to its own name (`changeOrigin`). */
const pageServer = {
  target: `http://127.0.0.1:${process.env["PAGE_PORT"] ?? "7070"}`,
  changeOrigin: true,
};

export default defineConfig({
  root: path("."),
  plugins: [react()],
  resolve: {
    // The page is built with the client's sources, so that it never has an old build of the client.
    alias: [
      { find: "@nonstop/chat-client/indexeddb", replacement: path("../client/indexedDbOutbox.ts") },
      { find: "@nonstop/chat-client", replacement: path("../client/index.ts") },
    ],
  },
  server: {
    proxy: { "/config.json": pageServer, "/demo": pageServer },
    // No page of another origin may read a token.
    cors: false,
  },
  build: { outDir: path("../dist/web"), emptyOutDir: true, target: "es2022" },
});
