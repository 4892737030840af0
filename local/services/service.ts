export interface ServiceOptions {
  /** The folder of this service alone. It is made when it is missing. */
  readonly data: string;
  /** 0 takes a free port. */
  readonly port?: number;
}

/** A running database or storage of the local stack. */
export interface Service {
  /** How clients reach it: a URL, or a connection string. */
  readonly url: string;
  readonly port: number;
  /** The pid of the server process itself. */
  readonly pid: number;
  /** Resolves when the process is gone; its data stays. */
  close(): Promise<void>;
}
