import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type createServer as createPlainServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type TLSSocket } from "node:tls";
import { generate } from "selfsigned";
import { LOOPBACK } from "../../local/ports.js";

const DAY_MS = 86_400_000;

/** A server's certificate with its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test's own. */
export interface Authority {
  /** Of its certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly file: string;
  /** A certificate for a name, which this authority has signed. */
  certify(name: string): Promise<Certificate>;
  close(): void;
}

/** Makes a certificate authority, which no system knows, and writes its certificate into a file. */
export async function makeAuthority(): Promise<Authority> {
  const name = [{ name: "commonName", value: "authority of a test" }];
  const dates = { notBeforeDate: new Date(Date.now() - DAY_MS), notAfterDate: new Date(Date.now() + DAY_MS) };
  const ca = await generate(name, {
    ...dates,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const folder = mkdtempSync(join(tmpdir(), "nonstop-ca-"));
  const file = join(folder, "ca.pem");
  writeFileSync(file, ca.cert);
  return {
    file,
    async certify(host) {
      const signed = await generate([{ name: "commonName", value: host }], {
        ...dates,
        ca: { key: ca.private, cert: ca.cert },
        extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: host }] }],
      });
      return { cert: signed.cert, key: signed.private };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A server that takes TLS from its clients and passes everything on, plain, to a port of this machine. */
export interface TlsFront {
  readonly port: number;
  /** How many connections have been taken. */
  readonly taken: number;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startTlsFront(certificate: Certificate, to: number): Promise<TlsFront> {
  const sockets = new Set<TLSSocket>();
  let taken = 0;
  const server = createServer(certificate, (client) => {
    taken += 1;
    sockets.add(client);
    const behind = connect(to, LOOPBACK);
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const)
      one.on("error", () => {}).on("close", () => other.destroy());
    client
      .on("close", () => sockets.delete(client))
      .pipe(behind)
      .pipe(client);
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    get taken() {
      return taken;
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const listen = (server: ReturnType<typeof createPlainServer>): Promise<void> =>
  new Promise((resolve) => void server.listen(0, LOOPBACK, resolve));
