import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startStack } from "../../local/stack.js";
import { countingAt, startOtlpReceiver } from "./otlpReceiver.js";

declare module "vitest" {
  interface ProvidedContext {
    /** What `stack.json` holds of the stack that the tests share. */
    stack: Addresses;
    /** Where it sends what it counts (`openLimits.ts`). */
    metrics: string;
  }
}

export interface Addresses {
  readonly page: string;
  readonly api: string;
  readonly webPubSub: string;
  readonly eventHubs: string;
  readonly mysql: string;
  readonly redis: string;
  readonly storage: string;
  readonly webPubSubConnection: string;
}

/** Starts one whole stack on free ports, in a folder of its own, for all tests that need a running one. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const data = mkdtempSync(join(tmpdir(), "nonstop-chat-"));
  const receiver = await startOtlpReceiver();
  const env = { PAGE_IMAGE_HOSTS: "pictures.example,*.faces.example", ...countingAt(receiver.url) };
  const stack = await startStack({ data, ports: "auto", quiet: true, env });
  project.provide("metrics", receiver.url);
  project.provide("stack", { ...stack.addresses } as unknown as Addresses);
  return async () => {
    await stack.close();
    await receiver.close();
    rmSync(data, { recursive: true, force: true });
  };
}
