import { createHmac } from "node:crypto";
import { inject } from "vitest";

/** What proves to the stack's app that an upstream call of this connection is the socket service's (`ce-signature`). */
export function signatureOf(connectionId: string): string {
  const accessKey = /AccessKey=([^;]+)/.exec(inject("stack").webPubSubConnection)![1]!;
  return `sha256=${createHmac("sha256", accessKey).update(connectionId).digest("hex")}`;
}
