import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { freePort, LOOPBACK } from "../ports.js";
import { type ChildSpec, startChild } from "./child.js";
import { leanArgs, leanEnv } from "./nodeArgs.js";
import type { Service, ServiceOptions } from "./service.js";

/** The account that every storage emulator has. The key is public. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/** The connection string for a blob emulator on `port`. */
export function storageConnection(port: number): string {
  const endpoint = `http://${LOOPBACK}:${port}/${ACCOUNT}`;
  return `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${endpoint};`;
}

/** The blob storage emulator from the package registry, its blobs in the folder `data`. */
export function azuriteSpec(data: string, port: number, logFile: string): ChildSpec {
  mkdirSync(data, { recursive: true });
  const program = join(
    dirname(createRequire(import.meta.url).resolve("azurite/package.json")),
    "dist/src/blob/main.js",
  );
  const options = ["--blobHost", LOOPBACK, "--blobPort", String(port), "--location", data];
  return {
    name: "storage",
    program: process.execPath,
    wrapped: true,
    // SDKs are newer than the emulator's list of API versions.
    args: [...leanArgs(), program, ...options, "--skipApiVersionCheck", "--disableTelemetry", "--silent"],
    env: leanEnv(),
    logFile,
    probe: () => pingStorage(port),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 5_000,
  };
}

/**
 * Starts a private blob storage and waits until it answers. Its `url` is a connection string. Port 0 takes a
 * free one.
 */
export async function startAzurite({ data, port = 0 }: ServiceOptions): Promise<Service> {
  const chosen = port || (await freePort());
  const child = await startChild(azuriteSpec(data, chosen, join(data, "storage.log")));
  return { url: storageConnection(chosen), port: chosen, pid: child.pid, close: () => child.stop() };
}

async function pingStorage(port: number): Promise<void> {
  // The call is unsigned, so it is refused. But it is answered.
  const answer = await fetch(`http://${LOOPBACK}:${port}/${ACCOUNT}?comp=list`, {
    signal: AbortSignal.timeout(2_000),
  });
  await answer.arrayBuffer();
}
