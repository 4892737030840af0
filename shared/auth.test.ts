import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bearerToken, createVerifier } from "./auth.js";

const ISSUER = "https://id.example.com";
const AUDIENCE = "nonstop-chat";
const SECRET = "0123456789-0123456789-0123456789";
const checks = { issuer: ISSUER, audience: AUDIENCE };
const inAnHour = (): number => Math.floor(Date.now() / 1_000) + 3_600;

const claims = (more: object = {}): Record<string, unknown> => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: "7",
  exp: inAnHour(),
  ...more,
});
const base64url = (value: object | string): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token put together by hand, as a forger does. */
function forged(header: object, payload: object | string, key: string | Buffer = SECRET): string {
  const text = `${base64url(header)}.${base64url(payload)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}
const hs256 = (more: object = {}): string => forged({ alg: "HS256" }, claims(more));

describe("a token signed with the secret", () => {
  const verify = createVerifier({ ...checks, jwtSecret: SECRET });

  test("says who it is, until when", async () => {
    const exp = inAnHour();
    const more = { exp, nickname: "Ann 👩‍🚀", picture: "https://example.com/a.png" };
    expect(await verify(hs256(more))).toEqual({
      userId: 7,
      expiresAt: exp,
      nickname: "Ann 👩‍🚀",
      picture: "https://example.com/a.png",
    });
  });

  test.each<[string, object, object]>([
    ["a nickname that is no text", { nickname: 5 }, {}],
    ["a blank nickname", { nickname: " \t" }, {}],
    ["a lone surrogate", { nickname: "a\ud800" }, { nickname: "a\ufffd" }],
    ["101 characters outside the BMP", { nickname: "🚀".repeat(101) }, { nickname: "🚀".repeat(100) }],
    ["the largest user id", { sub: "9007199254740991" }, { userId: 9007199254740991 }],
    ["several audiences", { aud: ["other", AUDIENCE] }, {}],
  ])("may have %s", async (_what, more, expected) => {
    const { expiresAt: _, ...identity } = await verify(hs256(more));
    expect(identity).toEqual({ userId: 7, ...expected });
  });

  test.each<[string, () => string | undefined]>([
    ["none", () => undefined],
    ["an empty one", () => ""],
    ["no JWT at all", () => "token"],
    ["two parts", () => `${base64url({ alg: "HS256" })}.${base64url(claims())}`],
    ["five parts", () => "a.b.c.d.e"],
    ["dots", () => ".."],
    ["a header that is no JSON", () => `${base64url("{")}.${base64url(claims())}.AA`],
    ["a header that is null", () => `${base64url("null")}.${base64url(claims())}.AA`],
    ["alg none", () => `${base64url({ alg: "none" })}.${base64url(claims())}.`],
    ["alg None", () => `${base64url({ alg: "None" })}.${base64url(claims())}.`],
    ["no alg", () => forged({ typ: "JWT" }, claims())],
    ["alg of another type", () => forged({ alg: ["HS256"] }, claims())],
    ["HS512", () => forged({ alg: "HS512" }, claims())],
    ["RS256 with the secret", () => forged({ alg: "RS256" }, claims())],
    ["another secret", () => forged({ alg: "HS256" }, claims(), "another")],
    ["an empty secret", () => forged({ alg: "HS256" }, claims(), "")],
    ["no signature", () => `${base64url({ alg: "HS256" })}.${base64url(claims())}.`],
    ["a changed payload", () => hs256().replace(/\.[^.]+\./, `.${base64url(claims({ sub: "8" }))}.`)],
    ["a payload that is no JSON", () => forged({ alg: "HS256" }, "{")],
    ["a payload that is an array", () => forged({ alg: "HS256" }, "[]")],
    ["a critical header nobody knows", () => forged({ alg: "HS256", crit: ["x"], x: 1 }, claims())],
    ["an unencoded payload", () => forged({ alg: "HS256", crit: ["b64"], b64: false }, claims())],
    ["another issuer", () => hs256({ iss: "https://evil.example.com" })],
    ["no issuer", () => hs256({ iss: undefined })],
    ["another audience", () => hs256({ aud: "other" })],
    ["no audience", () => hs256({ aud: undefined })],
    ["no exp", () => hs256({ exp: undefined })],
    ["a past exp", () => hs256({ exp: 1_000_000_000 })],
    ["an exp that is text", () => hs256({ exp: String(inAnHour()) })],
    ["an nbf to come", () => hs256({ nbf: inAnHour() })],
    ["no sub", () => hs256({ sub: undefined })],
    ["a sub that is a number", () => hs256({ sub: 7 })],
    ["a sub that is a list", () => hs256({ sub: ["7"] })],
    ["a sub with letters", () => hs256({ sub: "7a" })],
    ["a sub of 0", () => hs256({ sub: "0" })],
    ["a negative sub", () => hs256({ sub: "-7" })],
    ["a sub with a leading zero", () => hs256({ sub: "07" })],
    ["a sub with a space", () => hs256({ sub: " 7" })],
    ["a sub with a line end", () => hs256({ sub: "7\n" })],
    ["a sub in other digits", () => hs256({ sub: "٧" })],
    ["a sub past the safe integers", () => hs256({ sub: "9007199254740992" })],
  ])("is refused: %s", async (_what, token) => {
    await expect(verify(token())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test.each<[object, string]>([
    [{ exp: 1_000_000_000 }, "The token has expired."],
    [{ aud: "other" }, 'The token\'s claim "aud" is missing or wrong.'],
    [{ sub: "Ann" }, 'The token\'s claim "sub" is not a user id.'],
  ])("says what is wrong: %o", async (more, message) => {
    await expect(verify(hs256(more))).rejects.toMatchObject({ message });
  });
});

describe("a token signed with the identity provider's key", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ed = generateKeyPairSync("ed25519");
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  let server: Server;
  let jwksUri: string;
  let fetched = 0;
  let answer: { status: number; body: string };
  let rightAnswer: string;

  const keyOf = async (key: KeyObject, kid: string, alg: string): Promise<object> => ({
    ...(await exportJWK(key)),
    kid,
    alg,
    use: "sig",
  });

  beforeAll(async () => {
    rightAnswer = JSON.stringify({
      keys: [
        await keyOf(rsa.publicKey, "rsa", "RS256"),
        await keyOf(ec.publicKey, "ec", "ES256"),
        await keyOf(ed.publicKey, "ed", "EdDSA"),
      ],
    });
    server = createServer((_request, response) => {
      fetched += 1;
      response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  });
  afterAll(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    fetched = 0;
    answer = { status: 200, body: rightAnswer };
  });

  const signed = (alg: string, kid: string, key: KeyObject, more: object = {}): Promise<string> =>
    new SignJWT(claims(more)).setProtectedHeader({ alg, kid }).sign(key);

  test.each([
    ["RS256", "rsa", rsa.privateKey],
    ["ES256", "ec", ec.privateKey],
    ["EdDSA", "ed", ed.privateKey],
  ])("is accepted with %s", async (alg, kid, key) => {
    const verify = createVerifier({ ...checks, jwksUri });
    expect(await verify(await signed(alg, kid, key))).toMatchObject({ userId: 7 });
  });

  test("has its keys fetched once for many tokens", async () => {
    const verify = createVerifier({ ...checks, jwksUri });
    const tokens = await Promise.all(
      Array.from({ length: 20 }, () => signed("RS256", "rsa", rsa.privateKey)),
    );
    await Promise.all(tokens.map(verify));
    expect(fetched).toBe(1);
  });

  test.each<[string, () => Promise<string> | string]>([
    [
      "HS256 keyed with the public key's PEM",
      () =>
        forged(
          { alg: "HS256", kid: "rsa" },
          claims(),
          rsa.publicKey.export({ type: "spki", format: "pem" }) as string,
        ),
    ],
    [
      "HS256 keyed with the public key's DER",
      () =>
        forged({ alg: "HS256", kid: "rsa" }, claims(), rsa.publicKey.export({ type: "spki", format: "der" })),
    ],
    ["HS256 without a secret configured", () => hs256()],
    ["alg none", () => `${base64url({ alg: "none", kid: "rsa" })}.${base64url(claims())}.`],
    ["another RSA key", () => signed("RS256", "rsa", stranger.privateKey)],
    ["a key id nobody has", () => signed("RS256", "other", rsa.privateKey)],
    ["RS256 naming the EC key", () => signed("RS256", "ec", rsa.privateKey)],
    ["RS384, which is not on the list", () => signed("RS384", "rsa", rsa.privateKey)],
    ["PS256, which is not on the list", () => signed("PS256", "rsa", rsa.privateKey)],
    [
      "a key of its own in the header",
      async () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: "RS256", jwk: await exportJWK(stranger.publicKey) })
          .sign(stranger.privateKey),
    ],
    ["a past exp", () => signed("RS256", "rsa", rsa.privateKey, { exp: 1_000_000_000 })],
    ["another audience", () => signed("ES256", "ec", ec.privateKey, { aud: "other" })],
    ["no exp", () => signed("EdDSA", "ed", ed.privateKey, { exp: undefined })],
  ])("is refused: %s", async (_what, token) => {
    const verify = createVerifier({ ...checks, jwksUri });
    await expect(verify(await token())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test("stands beside the secret; each algorithm has its own kind of key", async () => {
    const verify = createVerifier({ ...checks, jwksUri, jwtSecret: SECRET });
    expect(await verify(hs256({ sub: "1" }))).toMatchObject({ userId: 1 });
    expect(await verify(await signed("RS256", "rsa", rsa.privateKey))).toMatchObject({ userId: 7 });
    const pem = rsa.publicKey.export({ type: "spki", format: "pem" }) as string;
    const mixed = forged({ alg: "HS256", kid: "rsa" }, claims(), pem);
    await expect(verify(mixed)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await expect(verify(forged({ alg: "RS256", kid: "rsa" }, claims()))).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
  });

  test.each([
    ["answers 500", { status: 500, body: "{}" }],
    ["redirects", { status: 302, body: "" }],
    ["answers no JSON", { status: 200, body: "<html>" }],
    ["answers something else", { status: 200, body: '{"keys":"none"}' }],
  ])("is not judged while the key server %s, and is accepted afterwards", async (_what, wrong) => {
    const verify = createVerifier({ ...checks, jwksUri });
    const token = await signed("RS256", "rsa", rsa.privateKey);
    answer = wrong;
    await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    answer = { status: 200, body: rightAnswer };
    expect(await verify(token)).toMatchObject({ userId: 7 });
  });

  test("is not judged while the key server is down", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const verify = createVerifier({ ...checks, jwksUri: `http://127.0.0.1:${port}/keys`, jwtSecret: SECRET });
    const token = await signed("RS256", "rsa", rsa.privateKey);
    await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(verify("no token")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    expect(await verify(hs256())).toMatchObject({ userId: 7 });
  });
});

test.each([
  ["Bearer a.b.c", "a.b.c"],
  ["bearer a.b.c", "a.b.c"],
  ["BEARER   a.b.c ", "a.b.c"],
  ["Basic a.b.c", undefined],
  ["Bearer", undefined],
  ["Bearer ", undefined],
  ["Bearer a b", undefined],
  ["xBearer a", undefined],
  ["", undefined],
  [null, undefined],
  [undefined, undefined],
])("the token of %j is %j", (header, token) => {
  expect(bearerToken(header)).toBe(token);
});
