import { ChatError } from "../platform/errors.js";
import { recent } from "../platform/recent.js";
import { isSame, isSigned } from "./signature.js";

/**
 * How an upstream call proves that it comes from the service: by `ce-signature`, made with the service's
 * access keys, or, where access keys are turned off, by the token of the service's managed identity.
 */
export type CallerProof =
  | { readonly kind: "signature"; readonly accessKeys: readonly string[] }
  | {
      readonly kind: "token";
      /**
       * Takes the header `Authorization`; throws `UNAUTHORIZED`, or `UNAVAILABLE` when the token can't be
       * judged.
       */
      readonly verify: (authorization: string | undefined) => Promise<void>;
    };

/** Connections whose signature is known: each of their events brings the same. */
const SIGNED = 10_000;

type Headers = Readonly<Record<string, string>>;

/**
 * A check of a call's headers that throws as `CallerProof.verify` does. One proof counts, never the other: a
 * leaked access key must not let anybody in where keys are turned off. The client's own `Authorization` is in
 * the body of `connect`. Throws at once when there are no keys.
 */
export function createProver(proof: CallerProof): (headers: Headers) => Promise<void> {
  if (proof.kind === "token") return (headers) => proof.verify(headers["authorization"]);
  const { accessKeys } = proof;
  if (accessKeys.length === 0)
    throw new Error(
      "Upstream calls can't be verified: set an access key, or the identity that they come from.",
    );
  const signed = recent<string>(SIGNED);
  return async (headers) => {
    const { "ce-connectionid": connectionId = "", "ce-signature": signature } = headers;
    const known = signed.get(connectionId);
    if (known !== undefined && signature !== undefined && isSame(known, signature)) return;
    if (signature === undefined || !isSigned(connectionId, signature, accessKeys))
      throw new ChatError("UNAUTHORIZED", "ce-signature is missing or false");
    signed.set(connectionId, signature);
  };
}
