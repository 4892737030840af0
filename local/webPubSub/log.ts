export type LogLevel = "info" | "warn" | "error";
export type Log = (level: LogLevel, text: string) => void;

/** Logs nothing. The default when the server runs inside another process. */
export const silent: Log = () => {};

/** One plain line on stderr for each call, with time, level and this server's name. */
export const stderrLog: Log = (level, text) => {
  const line = text.replace(/\s*[\r\n]+\s*/g, " ");
  process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase()} webPubSub: ${line}\n`);
};
