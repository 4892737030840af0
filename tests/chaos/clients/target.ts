/** Where MySQL is, as the machine itself sees it: never behind a proxy that a fault may close. */
export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** The system under load, as its clients see it. */
export interface Target {
  /** A WebSocket URL without a query: `ws://HOST:PORT/client/hubs/chat`. */
  readonly socketUrl: string;
  /** The HTTP calls' origin: `http://HOST:PORT`. */
  readonly callsUrl: string;
  /** A JWT of the user with this id, in digits. */
  token(user: string): Promise<string>;
  readonly database: DatabaseAddress;
}
