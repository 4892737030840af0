import { createHash, randomUUID } from "node:crypto";
import { type BlockBlobClient, type ContainerClient, RestError } from "@azure/storage-blob";
import { describe, type Log, throttled } from "./log.js";
import { isGone, machine, ownerName } from "./owners.js";
import { pause } from "./retry.js";
import type { LeaseSettings } from "./settings.js";

/** After storage did not answer it is asked again in this time, in milliseconds. */
const RETRY_MS = 1_000;

/** The key of the blob's metadata that names the holder of the lease. */
const OWNER = "functioninstance";

/**
 * The blob of a function's lease, named as the real host names it, which goes by the app's folder on a
 * developer's machine.
 */
export function leaseBlob(
  container: ContainerClient,
  app: string,
  name: string,
  env: NodeJS.ProcessEnv,
): BlockBlobClient {
  const hash = createHash("sha256").update(app).digest().readUInt32BE();
  const hostId = env["AzureFunctionsWebHost__hostid"] ?? `${machine}-${hash}`.toLowerCase();
  return container.getBlockBlobClient(`locks/${hostId}/Host.Functions.${name}.Listener`);
}

/**
 * A lease that one host of an app has at a time, as the real host's singleton listeners do. The host renews
 * it until it releases it. After the holder's death it becomes free some time later. The lease of a dead
 * process of this machine is taken over at once.
 */
export class Lease {
  readonly #name: string;
  readonly #blob: BlockBlobClient;
  readonly #container: ContainerClient;
  readonly #settings: LeaseSettings;
  readonly #log: Log;
  readonly #warn: (text: string) => void;

  constructor(
    name: string,
    container: ContainerClient,
    blob: BlockBlobClient,
    settings: LeaseSettings,
    log: Log,
  ) {
    this.#name = name;
    this.#container = container;
    this.#blob = blob;
    this.#settings = settings;
    this.#log = log;
    this.#warn = throttled(log, "warning");
  }

  /**
   * Does `work` each time this host gets the lease, until `stop` aborts. The signal given to `work` aborts
   * when the lease is lost, and at `stop`: `work` must end then. The lease is released afterwards. Never
   * rejects if `work` doesn't.
   */
  async whileHeld(stop: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void> {
    while (!stop.aborted) {
      const id = await this.#acquire(stop);
      if (id === undefined) return;
      this.#log.write("debug", `${this.#name} has its lease`);
      if (stop.aborted) return this.#release(id);
      const held = new AbortController();
      const end = () => held.abort();
      stop.addEventListener("abort", end);
      const renewing = this.#renew(id, held);
      await work(held.signal);
      await renewing;
      stop.removeEventListener("abort", end);
      if (stop.aborted) await this.#release(id);
    }
  }

  /** Waits for the lease and returns its id. `undefined` when `stop` aborted first. */
  async #acquire(stop: AbortSignal): Promise<string | undefined> {
    let told = false;
    while (!stop.aborted) {
      try {
        const id = await this.#tryAcquire(stop);
        if (id !== undefined) return id;
        if (!told) this.#log.write("information", `${this.#name} waits: another host has its lease`);
        told = true;
        await pause(this.#settings.pollingInterval, stop);
      } catch (error) {
        if (stop.aborted) return undefined;
        this.#warn(`${this.#name} waits for the storage of AzureWebJobsStorage: ${describe(error)}`);
        await pause(RETRY_MS, stop);
      }
    }
    return undefined;
  }

  /** `undefined` when another host has the lease. */
  async #tryAcquire(abortSignal: AbortSignal): Promise<string | undefined> {
    const id = randomUUID();
    try {
      const found = await this.#properties(abortSignal);
      if (found?.leaseState === "leased" || found?.leaseState === "breaking") {
        if (!isGone(found.metadata?.[OWNER] ?? "")) return undefined;
        // Several hosts may find the dead holder. Only the first gets its lease, because writing its name
        // changes the etag.
        const conditions = { ifMatch: found.etag! };
        await this.#blob.getBlobLeaseClient().breakLease(0, { conditions, abortSignal });
      }
      // This call must not be aborted: a lease that we got without knowing it would keep the next host
      // waiting.
      await this.#blob.getBlobLeaseClient(id).acquireLease(Math.floor(this.#settings.period / 1_000));
      await this.#blob.setMetadata({ [OWNER]: ownerName() }, { conditions: { leaseId: id } });
      return id;
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  }

  /** Makes the blob and its container if they do not exist. */
  async #properties(abortSignal: AbortSignal) {
    try {
      return await this.#blob.getProperties({ abortSignal });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    await this.#container.createIfNotExists({ abortSignal });
    await this.#blob.upload("", 0, { conditions: { ifNoneMatch: "*" }, abortSignal });
    return undefined;
  }

  /**
   * Renews the lease until `held` aborts. Aborts it when the lease is lost, or when it has ended by our clock
   * without being renewed.
   */
  async #renew(id: string, held: AbortController): Promise<void> {
    const { period } = this.#settings;
    const client = this.#blob.getBlobLeaseClient(id);
    let ends = performance.now() + period;
    let wait = period / 2;
    for (;;) {
      await pause(wait, held.signal);
      if (held.signal.aborted) return;
      const asked = performance.now();
      try {
        await client.renewLease({ abortSignal: held.signal });
        ends = asked + period;
        wait = period / 2;
      } catch (error) {
        if (held.signal.aborted) return;
        const lost = isTaken(error) || statusOf(error) === 404 || performance.now() >= ends;
        this.#warn(`${this.#name} ${lost ? "has lost" : "could not renew"} its lease: ${describe(error)}`);
        if (lost) held.abort();
        wait = RETRY_MS;
      }
      if (held.signal.aborted) return;
    }
  }

  async #release(id: string): Promise<void> {
    try {
      await this.#blob.getBlobLeaseClient(id).releaseLease();
    } catch (error) {
      if (!isTaken(error)) this.#warn(`${this.#name} could not release its lease: ${describe(error)}`);
    }
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** True for the conflicts of blob leases: another host holds it, or this one does not. */
function isTaken(error: unknown): boolean {
  return [409, 412].includes(statusOf(error) ?? 0);
}
