import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startStack } from "../../local/stack.js";
import type { BusName } from "../../local/stackBuses.js";
import requireBuild from "./built.js";
import { countingAt, startOtlpReceiver } from "./otlpReceiver.js";
import { UNSUBSCRIBES_A_MINUTE } from "./sharedLimit.js";

declare module "vitest" {
  interface ProvidedContext {
    /** What `stack.json` holds of the stack that the tests share. */
    stack: Addresses;
    /** The folder of that stack's data and logs. */
    stackFolder: string;
    /** Where that stack sends what it counts (`openLimits.ts`). */
    metrics: string;
  }
}

export interface Addresses {
  readonly page: string;
  readonly api: string;
  readonly webPubSub: string;
  /** The bus that the app publishes on: what `EVENT_BUS` of the test run names. */
  readonly bus: BusName;
  /** Empty where the stack runs on Kafka. */
  readonly eventHubs: string;
  /** `HOST:PORT`, where the stack runs on Kafka. */
  readonly kafka?: string;
  readonly mysql: string;
  readonly redis: string;
  readonly storage: string;
  readonly webPubSubConnection: string;
}

interface SharedStack {
  readonly addresses: Addresses;
  readonly folder: string;
  readonly metrics: string;
  /** Ends it once, however often this is called. */
  readonly close: () => Promise<void>;
}

declare global {
  /** Of this process: Vitest loads this file once for each project, and the projects share one stack. */
  var nonstopSharedStack: Promise<SharedStack> | undefined;
}

/** Before the tests of a project that needs a running stack: starts one, unless another project has. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  requireBuild();
  globalThis.nonstopSharedStack ??= startShared();
  const { addresses, folder, metrics, close } = await globalThis.nonstopSharedStack;
  project.provide("metrics", metrics);
  project.provide("stackFolder", folder);
  project.provide("stack", addresses);
  return close;
}

/** Starts one whole stack on free ports, in a folder of its own. */
async function startShared(): Promise<SharedStack> {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-chat-"));
  const receiver = await startOtlpReceiver();
  const env = {
    PAGE_IMAGE_HOSTS: "pictures.example,*.faces.example",
    RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE: String(UNSUBSCRIBES_A_MINUTE),
    ...countingAt(receiver.url),
  };
  const stack = await startStack({ data: folder, ports: "auto", quiet: true, env });
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await stack.close();
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return {
    addresses: { ...stack.addresses },
    folder,
    metrics: receiver.url,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
