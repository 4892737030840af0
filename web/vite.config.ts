import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export default defineConfig({
  root: path("."),
  plugins: [react()],
  resolve: {
    // From its sources, so that the page always has the client as it is.
    alias: [
      { find: "@nonstop/chat-client/indexeddb", replacement: path("../client/indexedDbOutbox.ts") },
      { find: "@nonstop/chat-client", replacement: path("../client/index.ts") },
    ],
  },
  build: { outDir: path("../dist/web"), emptyOutDir: true, target: "es2022" },
});
