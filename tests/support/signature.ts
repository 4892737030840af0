import { createHmac } from "node:crypto";
import { inject } from "vitest";

/**
 * The `ce-signature` that proves to the app that an upstream call of a connection comes from the socket
 * service.
 */
export function signatureOf(connectionId: string): string {
  const accessKey = /AccessKey=([^;]+)/.exec(inject("stack").webPubSubConnection)![1]!;
  return `sha256=${createHmac("sha256", accessKey).update(connectionId).digest("hex")}`;
}
