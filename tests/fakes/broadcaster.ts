import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import { ChatError } from "../../shared/platform/errors.js";

/** A socket service in memory: what it was told, in order, and who is in which group. */
export class FakeBroadcaster implements Broadcaster {
  readonly groups = new Map<string, Set<string>>();
  readonly sent: { readonly to: string; readonly text: string }[] = [];
  readonly closed: string[] = [];
  /**
   * Those that are open: a test adds them, joining a group does too. They are named `USER` or
   * `USER-anything`.
   */
  readonly connections = new Set<string>();
  /** What each connection has received, by itself or through a group it was in. */
  readonly received = new Map<string, string[]>();
  /** While set, every call fails as if the service were away. */
  away = false;
  /** Called before a group is looked up, so that a test can let something happen in between. */
  beforeGroupExists: (group: string) => Promise<void> | void = () => {};

  async sendToGroup(group: string, text: string): Promise<void> {
    this.#reach();
    this.sent.push({ to: group, text });
    for (const connectionId of this.groups.get(group) ?? []) this.#deliver(connectionId, text);
  }

  async sendToConnection(connectionId: string, text: string): Promise<void> {
    this.#reach();
    this.sent.push({ to: connectionId, text });
    this.#deliver(connectionId, text);
  }

  async closeConnection(connectionId: string): Promise<void> {
    this.#reach();
    this.#close(connectionId);
  }

  async connectionExists(connectionId: string): Promise<boolean> {
    this.#reach();
    return this.connections.has(connectionId);
  }

  async sendToUser(userId: number, text: string): Promise<void> {
    this.#reach();
    this.sent.push({ to: String(userId), text });
    for (const connectionId of this.#ofUser(userId)) this.#deliver(connectionId, text);
  }

  async closeUserConnections(userId: number): Promise<void> {
    this.#reach();
    for (const connectionId of this.#ofUser(userId)) this.#close(connectionId);
  }

  async joinGroup(connectionId: string, group: string): Promise<void> {
    this.#reach();
    this.connections.add(connectionId);
    this.groups.set(group, (this.groups.get(group) ?? new Set()).add(connectionId));
  }

  async leaveGroup(connectionId: string, group: string): Promise<void> {
    this.#reach();
    this.groups.get(group)?.delete(connectionId);
  }

  async removeUserFromGroups(userId: number, groups: readonly string[]): Promise<void> {
    this.#reach();
    for (const group of groups)
      for (const connectionId of this.#ofUser(userId)) this.groups.get(group)?.delete(connectionId);
  }

  async groupExists(group: string): Promise<boolean> {
    this.#reach();
    await this.beforeGroupExists(group);
    return (this.groups.get(group)?.size ?? 0) > 0;
  }

  async clientUrl(userId: number): Promise<string> {
    this.#reach();
    return `wss://fake/client/hubs/chat?access_token=${userId}`;
  }

  async ping(): Promise<void> {
    this.#reach();
  }

  #deliver(connectionId: string, text: string): void {
    this.received.set(connectionId, [...(this.received.get(connectionId) ?? []), text]);
  }

  #close(connectionId: string): void {
    this.closed.push(connectionId);
    this.connections.delete(connectionId);
    for (const members of this.groups.values()) members.delete(connectionId);
  }

  #ofUser(userId: number): readonly string[] {
    return [...this.connections].filter((connectionId) => connectionId.split("-")[0] === String(userId));
  }

  #reach(): void {
    if (this.away) throw new ChatError("UNAVAILABLE", "the fake service is away");
  }
}
