import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  /** Undefined where it would not be smaller. */
  readonly gzipped: Buffer | undefined;
  /** True when the name changes with the content, so that a browser may keep the file for ever. */
  readonly isHashed: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * All files of the built page by their path, `/index.html` among them. They are few and small, so they are
 * read once. No other file can be asked for. Throws when the page was not built.
 */
export function readPage(folder: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  let bytes = 0;
  for (const entry of listed(folder)) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const body = readFileSync(file);
    bytes += body.length;
    if (bytes > MOST_BYTES) throw new Error(`${folder} has more than 32 MiB: is this the built page?`);
    const path = `/${relative(folder, file).split(sep).join("/")}`;
    const gzipped = gzipSync(body);
    files.set(path, {
      type: TYPES[extname(file)] ?? "application/octet-stream",
      body,
      gzipped: gzipped.length < body.length ? gzipped : undefined,
      isHashed: path.startsWith("/assets/"),
    });
  }
  if (files.has("/index.html")) return files;
  throw new Error(`${folder} has no index.html: build the page, which npm start does first`);
}

function listed(folder: string) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch {
    return [];
  }
}
