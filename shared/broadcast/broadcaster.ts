/** The hub that clients connect to: `/client/hubs/chat`. */
export const HUB = "chat";

/** The longest that a call takes, its repeats included. */
export const LONGEST_CALL_MS = 5_000;

/**
 * The socket service as commands and consumers see it. Methods throw `UNAVAILABLE` when the service can't be
 * reached or is overloaded.
 */
export interface Broadcaster {
  /**
   * Sends one text to every connection of a group. An empty group is a success. Sends to one group keep their
   * order if the caller awaits each.
   */
  sendToGroup(group: string, text: string): Promise<void>;
  /** Sends one text to a connection. A connection that is gone is a success. */
  sendToConnection(connectionId: string, text: string): Promise<void>;
  /** Closes a connection. A connection that is gone is a success. */
  closeConnection(connectionId: string, reason: string): Promise<void>;
  /** Whether the connection is open. */
  connectionExists(connectionId: string): Promise<boolean>;
  /** Sends one text to all connections of a user. A user without connections is a success. */
  sendToUser(userId: number, text: string): Promise<void>;
  /** Closes all connections of a user. A user without connections is a success. */
  closeUserConnections(userId: number, reason: string): Promise<void>;
  joinGroup(connectionId: string, group: string): Promise<void>;
  leaveGroup(connectionId: string, group: string): Promise<void>;
  /**
   * Takes all connections of a user out of any number of groups. A group without one of them is a success.
   */
  removeUserFromGroups(userId: number, groups: readonly string[]): Promise<void>;
  /** Whether any connection is in the group. */
  groupExists(group: string): Promise<boolean>;
  /** A URL with which a client of this user may connect within this many minutes. */
  clientUrl(userId: number, minutes: number): Promise<string>;
  /** Throws when the service can't be reached. */
  ping(): Promise<void>;
}
