import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { generate } from "selfsigned";
import { passOn, type SocketServer, serving } from "./socketServer.js";

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
export interface TlsFront extends SocketServer {
  /** How many connections have been taken. */
  readonly taken: number;
}

export async function startTlsFront(certificate: Certificate, to: number): Promise<TlsFront> {
  let taken = 0;
  const server = createServer(certificate, (client) => {
    taken += 1;
    passOn(client, to);
  });
  return {
    ...(await serving(server, "secureConnection")),
    get taken() {
      return taken;
    },
  };
}
