import type { TokenCredential } from "@azure/identity";
import type { AuthPlugin, ConnectionOptions, SslOptions } from "mysql2/promise";
import { isLoopback } from "../platform/loopback.js";

/** What an Entra token for Azure Database for MySQL is asked by. */
const SCOPE = "https://ossrdbms-aad.database.windows.net/.default";
/** Longest time of one connection, its token included. */
export const CONNECTION_MS = 5_000;

/**
 * The driver takes a certificate's name as it is only when told to. What checks certificates against other
 * authorities than Node's own is `NODE_EXTRA_CA_CERTS`.
 */
const VERIFIED: SslOptions = { minVersion: "TLSv1.2", rejectUnauthorized: true, verifyIdentity: true };

/**
 * How every connection to the database of a URL is made: UTF-8, within 5 s, and over verified TLS wherever
 * the host is not this machine. A URL with an option `ssl` says for itself how it is checked. With a
 * `credential` the password is a token, asked for at each connection (the SDK keeps it while it is good),
 * and TLS is verified always.
 */
export function connectionTo(url: string, credential?: TokenCredential): ConnectionOptions {
  const { hostname, searchParams } = new URL(url);
  const ssl =
    credential || !(isLoopback(hostname) || searchParams.has("ssl")) ? { ssl: { ...VERIFIED } } : {};
  return {
    uri: url,
    charset: "utf8mb4",
    connectTimeout: CONNECTION_MS,
    ...ssl,
    ...(credential ? { authPlugins: { mysql_clear_password: tokenPlugin(credential) } } : {}),
  };
}

/**
 * Answers a server that asks for a password in clear text, ended by a zero byte (MySQL's "Client-Side
 * Cleartext Pluggable Authentication"). The driver has begun TLS before, or has given up.
 */
const tokenPlugin =
  (credential: TokenCredential): AuthPlugin =>
  ({ connection }) => {
    // Where a server goes while the token is awaited, the answer fails, too. The driver has no listener for
    // that second error any more, so it would end the process.
    connection.on("error", () => {});
    return async () => {
      const token = await credential.getToken(SCOPE);
      if (!token) throw new Error("There is no Entra token for MySQL.");
      return Buffer.from(`${token.token}\0`);
    };
  };
