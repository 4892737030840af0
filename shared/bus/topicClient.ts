import { setTimeout as pause } from "node:timers/promises";
import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from "@platformatic/kafka";
import type { KafkaAccess } from "./kafkaClient.js";
import { causeOf, isAbout, isRefusal, mayPass, whyUnreachable } from "./topicRefusals.js";

/** How long somebody who does not answer yet is asked again. */
export interface Patience {
  readonly waitMs?: number;
  /** Called once, when the first try has failed. */
  readonly onWait?: (reason: string) => void;
}

export const WAIT_MS = 30_000;
export const PAUSE_MS = 500;

/** What is known of a topic that exists. */
export interface Found {
  readonly partitions: number;
  /** Of the partition that has the fewest. */
  readonly replicas: number;
  readonly settings: ReadonlyMap<string, string>;
}

export type Settings = Readonly<Record<string, string>>;

/**
 * Administers topics. Each call is repeated while no broker can be reached, for `waitMs` over all calls, and
 * then throws a sentence. It throws a broker's refusal as the library does.
 */
export class TopicClient {
  readonly #admin: Admin;
  readonly #brokers: string;
  readonly #patience: Patience;
  readonly #began = Date.now();
  #isWaiting = false;

  constructor({ brokers, tls, sasl }: KafkaAccess, patience: Patience) {
    this.#brokers = brokers.join(",");
    this.#patience = patience;
    this.#admin = new Admin({
      clientId: "nonstop-chat-topics",
      bootstrapBrokers: [...brokers],
      // Tries are repeated here, where it is known which failures are worth it.
      retries: 0,
      connectTimeout: 5_000,
      requestTimeout: 15_000,
      ...(tls && { tls, tlsServerName: true }),
      ...(sasl && { sasl }),
    });
    // The library listens for a connection's first error only. A second one would end this process.
    this.#admin.connections.on("connecting", ({ connection }) => void connection.on("error", () => {}));
  }

  /** Resolves when a broker answers. */
  async reach(): Promise<void> {
    await this.#ask(() => this.#admin.metadata({ topics: [], forceUpdate: true }));
  }

  /** The topic, or undefined when there is none. */
  async find(name: string): Promise<Found | undefined> {
    try {
      return await this.#ask(() => this.#look(name));
    } catch (error) {
      if (isAbout(error, "PLT_KFK_USER") || isAbout(error, "UNKNOWN_TOPIC_OR_PARTITION")) return undefined;
      throw error;
    }
  }

  async #look(name: string): Promise<Found> {
    const { topics } = await this.#admin.metadata({ topics: [name], forceUpdate: true });
    const partitions = topics.get(name)?.partitions ?? [];
    const [described] = await this.#admin.describeConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: name }],
    });
    return {
      partitions: partitions.length,
      replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
      settings: new Map(described?.configs.map((setting) => [setting.name, setting.value ?? ""])),
    };
  }

  /** Makes a topic. Answers whether this call made it: another process may have done so meanwhile. */
  async create(name: string, partitions: number, settings: Settings, replicas?: number): Promise<boolean> {
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
    const options = { topics: [name], partitions, configs, ...(replicas !== undefined && { replicas }) };
    try {
      await this.#ask(() => this.#admin.createTopics(options));
      return true;
    } catch (error) {
      if (isAbout(error, "TOPIC_ALREADY_EXISTS")) return false;
      throw error;
    }
  }

  /** Sets these settings of a topic, and no others. */
  async correct(name: string, settings: Settings): Promise<void> {
    const configs = Object.entries(settings).map(([key, value]) => ({
      name: key,
      configOperation: IncrementalAlterConfigOperationTypes.SET,
      value,
    }));
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: name, configs }];
    await this.#ask(() => this.#admin.incrementalAlterConfigs({ resources }));
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    const { waitMs = WAIT_MS, onWait = () => {} } = this.#patience;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isRefusal(error)) throw error;
        const waited = Date.now() - this.#began;
        if (!mayPass(error) || waited >= waitMs)
          throw new Error(whyUnreachable(error, this.#brokers, Math.round(waited / 1_000)), { cause: error });
        if (!this.#isWaiting) onWait(causeOf(error));
        this.#isWaiting = true;
        await pause(PAUSE_MS);
      }
    }
  }
}
