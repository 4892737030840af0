import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { CompactEncrypt, exportJWK, type JWK, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  type AuthSettings,
  bearerToken,
  CLOCK_TOLERANCE_S,
  createCallerVerifier,
  createVerifiers,
  uncheckedClaims,
  type VerifierOptions,
} from "./verifier.js";

const ISSUER = "https://id.example.com";
const AUDIENCE = "nonstop-chat";
const SECRET = "0123456789-0123456789-0123456789";
const checks = { issuer: ISSUER, audience: AUDIENCE };
const nowInSeconds = (): number => Math.floor(Date.now() / 1_000);
const inAnHour = (): number => nowInSeconds() + 3_600;

const createVerifier = (settings: AuthSettings, options?: VerifierOptions) =>
  createVerifiers(settings, options).verifyToken;

/**
 * A certificate that OpenSSL made for `CN=keys`, and a token until 2125 that was signed with its key. Nobody
 * has the key any more.
 */
const CERTIFICATE =
  "MIIDATCCAemgAwIBAgIUMRkFqiLPAd8nNEiVDTivP9bET3YwDQYJKoZIhvcNAQELBQAwDzENMAsGA1UEAwwEa2V5czAgFw0yNjExMjYwODIwMDNaGA8yMTI2MTEwMjA4MjAwM1owDzENMAsGA1UEAwwEa2V5czCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAI86DQ1zTdUFtyDrvQjZEn6bTOTnwut3sVstclXhLEUR1N5dJFFWxb9pHkuWDZ5RtY7BewkHmTkFzfxckiw28tJLLS2/0y7jje9S9yC+pluaWJiJp8ynj4MA2xGCujZqhBYG1NMlcCA4Uvs0Cy32mlH/3ViMy16uOE/wg0CqbiTZLQFa8IXQY3z6+kFYST5zb9jVFLHY1d1ZwiTQ1NFlCG8UryrjOGKMjwM1eye59K/ngS/s2vMTMhYq/7ufCSNtax1rBEfLdu/M9ajqhZ5xBoKDV2fd0NFaoI2Zj1yl/5HBYda1+t70vptU4r/GKL1DmQEhxr8/SEOkdR4LqK7wmoECAwEAAaNTMFEwHQYDVR0OBBYEFN+NFytYu3VfK/YUoWZj6Rd0MONVMB8GA1UdIwQYMBaAFN+NFytYu3VfK/YUoWZj6Rd0MONVMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAArSoz9iuh8BNgG3kblYtH4+b1IuHhiFSZt7ozsXV1q6AsfIqpJnVIaBRO+KtUCB0DWid56cSPyCzVq/f95ra6O4EsPs375XHze/5D2q8/St/2T9/HSz6XNfmLcrcCxzn+G4tRY6TDBs8uYPmYCXuYk+n8Aw31o89hSRdyZdTTKtz4IFPAbM/M5l1miYASS+o0Wijmzj9exAizBnWX7a11iOKEswn646gifWG4uwtkxiwIazMapg/5jTmV5f3cCulSD3A7jh0A/hjl2eFDRem306v8uqrfzMDfjbRJtfrOxcl/eRyH9PmONazbqWrpn2lSSQbSyjswksyfiE+hFEXec=";

const CERTIFIED_TOKEN =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoibm9uc3RvcC1jaGF0Iiwic3ViIjoiNyIsImV4cCI6NDkwMDAwMDAwMH0.iPCxa6oTO6-Jue9qbWLdetiEGAWejYx9BXLbDlNyhReZEbrIlX7HFnt7P_sK9HW-qqvzcxFYrclB-hTk8ZHaffctq3orjJZXNTfHfKZ5doJ4K5riZ1w9-xWK1-qANI1epx35XEEwQMyw1D5ah2zt1qhDLizE1tTz0vA3SE0O_MboALTNEKldmNVdipoL2gtuGtNkZ4r8-bCVX4sJ4A_YQ1wH7JHQhXkschIplAAvhKozxx62tfYXZOtL1vQugbORhlaEPWEw9yZt5-SzFsRM6KeTVqgNBqyK907-ITE3lOLnVtALKUdq7A3ZfDKP7IFoo_xFiXGMXPicz_JkcbAjjA";

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
function forged(header: object | string, payload: object | string, key: string | Buffer = SECRET): string {
  const text = `${base64url(header)}.${base64url(payload)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}
const hs256 = (more: object = {}): string => forged({ alg: "HS256" }, claims(more));

/** A token signed as RS256 says, with any header and payload. */
function rs256(key: KeyObject, header: object | string, payload: object | string): string {
  const text = `${base64url(header)}.${base64url(payload)}`;
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

async function listen(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/**
 * Claims that make a rightly signed token worthless, with any kind of key: a wrong claim, or the same claims
 * twice.
 */
const wrongClaims: readonly [string, object | string][] = [
  ["another issuer", { iss: "https://evil.example.com" }],
  ["the issuer with a slash behind it", { iss: `${ISSUER}/` }],
  ["a list of issuers", { iss: [ISSUER] }],
  ["no issuer", { iss: undefined }],
  ["another audience", { aud: "other" }],
  ["other audiences", { aud: ["other", "another"] }],
  ["no audience", { aud: undefined }],
  ["an empty list of audiences", { aud: [] }],
  ["an audience within a list within a list", { aud: [[AUDIENCE]] }],
  ["an audience that begins alike", { aud: `${AUDIENCE}-2` }],
  ["no exp", { exp: undefined }],
  ["an exp of null", { exp: null }],
  ["a past exp", { exp: 1_000_000_000 }],
  ["an exp of 0", { exp: 0 }],
  ["a negative exp", { exp: -1 }],
  ["an exp that is text", { exp: String(inAnHour()) }],
  ["an exp in a list", { exp: [inAnHour()] }],
  ["an exp in milliseconds", { exp: inAnHour() * 1_000 }],
  ["an exp past all numbers", `{"iss":"${ISSUER}","aud":"${AUDIENCE}","sub":"7","exp":1e999}`],
  ["an exp of NaN", `{"iss":"${ISSUER}","aud":"${AUDIENCE}","sub":"7","exp":NaN}`],
  ["an exp of true", { exp: true }],
  ["an nbf to come", { nbf: inAnHour() }],
  ["an nbf that is text", { nbf: "0" }],
  ["an iat that is text", { iat: "now" }],
  ["no sub", { sub: undefined }],
  ["an empty sub", { sub: "" }],
  ["a sub that is a number", { sub: 7 }],
  ["a sub that is a list", { sub: ["7"] }],
  ["a sub that is an object", { sub: { toString: "7" } }],
  ["a sub with letters", { sub: "7a" }],
  ["a sub of 0", { sub: "0" }],
  ["a negative sub", { sub: "-1" }],
  ["a sub with a sign", { sub: "+7" }],
  ["a sub with an exponent", { sub: "1e3" }],
  ["a sub in hexadecimal", { sub: "0x7" }],
  ["a sub with a fraction", { sub: "7.0" }],
  ["a sub with a leading zero", { sub: "07" }],
  ["a sub with a space", { sub: " 7" }],
  ["a sub with a line end", { sub: "7\n" }],
  ["a sub with a NUL", { sub: "7\0" }],
  ["a sub in other digits", { sub: "\u0667" }],
  ["a sub in wide digits", { sub: "\uff17" }],
  ["a sub past the safe integers", { sub: "9007199254740992" }],
  ["a sub of a thousand digits", { sub: "7".repeat(1_000) }],
  ["a payload that is no JSON", "{"],
  ["a payload that is a list", "[]"],
  ["a payload that is null", "null"],
  ["a payload that is text", '"7"'],
  ["a payload that is another token", hs256()],
];
const payloadOf = (wrong: object | string): object | string =>
  typeof wrong === "string" ? wrong : claims(wrong);

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
    ["a nickname of control characters", { nickname: "\0\n\u0085" }, {}],
    ["a nickname with control characters", { nickname: "A\0n\nn\u007f\u009b" }, { nickname: "Ann" }],
    ["a nickname in parts", { nickname: "e\u0301 \u1100\u1161" }, { nickname: "\u00e9 \uac00" }],
    ["a nickname of a filler", { nickname: "\u3164" }, {}],
    ["a nickname that overrides directions", { nickname: "\u202enn\u2066A\u200f" }, { nickname: "nnA" }],
    [
      "a nickname with invisible characters",
      { nickname: "\u200bA\u3164n\ufe0fn\u{e0041} " },
      { nickname: "Ann" },
    ],
    ["a nickname that needs some of them", { nickname: "👩‍🚀 ශ්‍රී می‌خ" }, { nickname: "👩‍🚀 ශ්‍රී می‌خ" }],
    ["a lone surrogate", { nickname: "a\ud800" }, { nickname: "a\ufffd" }],
    ["101 characters outside the BMP", { nickname: "🚀".repeat(101) }, { nickname: "🚀".repeat(100) }],
    [
      "101 letters that become 100 in NFC",
      { nickname: `${"a".repeat(99)}e\u0301` },
      { nickname: `${"a".repeat(99)}\u00e9` },
    ],
    ["a picture that is no text", { picture: ["https://example.com/"] }, {}],
    ["a picture over http", { picture: "http://example.com/a.png" }, {}],
    ["a picture that is a script", { picture: "javascript:alert(1)" }, {}],
    ["a picture in itself", { picture: "data:image/png;base64,AA" }, {}],
    ["a picture that is no URL", { picture: "https://" }, {}],
    [
      "a picture of 2,048 characters",
      { picture: `https://example.com/${"a".repeat(2_028)}` },
      { picture: `https://example.com/${"a".repeat(2_028)}` },
    ],
    ["a picture of 2,049 characters", { picture: `https://example.com/${"a".repeat(2_029)}` }, {}],
    [
      "a picture whose URL becomes longer than that",
      { picture: `https://example.com/${"비".repeat(1_000)}` },
      {},
    ],
    [
      "a picture with what has to be escaped",
      { picture: 'https://example.com/"<비>\n' },
      { picture: "https://example.com/%22%3C%EB%B9%84%3E" },
    ],
    ["the largest user id", { sub: "9007199254740991" }, { userId: 9007199254740991 }],
    ["several audiences", { aud: ["other", AUDIENCE] }, {}],
    ["members that we do not know", { admin: true, __proto__: null, constructor: 1 }, {}],
  ])("may have %s", async (_what, more, expected) => {
    const { expiresAt: _, ...identity } = await verify(hs256(more));
    expect(identity).toEqual({ userId: 7, ...expected });
  });

  test.each<[string, () => string | undefined]>([
    ["none", () => undefined],
    ["an empty one", () => ""],
    ["no JWT at all", () => "token"],
    ["two parts", () => `${base64url({ alg: "HS256" })}.${base64url(claims())}`],
    ["four parts", () => `${hs256()}.AA`],
    ["dots", () => ".."],
    ["a header that is no JSON", () => forged("{", claims())],
    ["a header that is null", () => forged("null", claims())],
    ["a header that is a list", () => forged('["HS256"]', claims())],
    ["no alg", () => forged({ typ: "JWT" }, claims())],
    ["alg of another type", () => forged({ alg: ["HS256"] }, claims())],
    ["alg in small letters", () => forged({ alg: "hs256" }, claims())],
    ["HS512", () => forged({ alg: "HS512" }, claims())],
    ["RS256 with the secret", () => forged({ alg: "RS256" }, claims())],
    ["another secret", () => forged({ alg: "HS256" }, claims(), "another")],
    ["an empty secret", () => forged({ alg: "HS256" }, claims(), "")],
    ["no signature", () => hs256().replace(/[^.]+$/, "")],
    ["a signature cut short", () => hs256().slice(0, -4)],
    ["a longer signature", () => `${hs256()}AAAA`],
    ["a changed payload", () => hs256().replace(/\.[^.]+\./, `.${base64url(claims({ sub: "8" }))}.`)],
    ["a changed header", () => hs256().replace(/^[^.]+/, base64url({ alg: "HS256", kid: "a" }))],
    ["a critical header nobody knows", () => forged({ alg: "HS256", crit: ["x"], x: 1 }, claims())],
    ["an unencoded payload", () => forged({ alg: "HS256", crit: ["b64"], b64: false }, claims())],
    ["b64 that says the usual", () => forged({ alg: "HS256", crit: ["b64"], b64: true }, claims())],
    ["b64 that is not critical", () => forged({ alg: "HS256", b64: false }, claims())],
    ["a space before it", () => ` ${hs256()}`],
    ["a line end behind it", () => `${hs256()}\n`],
    ["a line end in it", () => hs256().replace(".", ".\n")],
    ["padding", () => `${hs256()}=`],
    [
      "the other base64 alphabet",
      () => {
        let token = hs256();
        for (let x = 0; !/[-_]/.test(token); x += 1) token = hs256({ x });
        return token.replaceAll("-", "+").replaceAll("_", "/");
      },
    ],
    ["a letter that looks alike", () => hs256().replace(/^e/, "\u0435")],
    ["more than 8 KiB", () => hs256({ x: "a".repeat(6_144) })],
    ["a megabyte of it", () => `${hs256()}${"A".repeat(1_000_000)}`],
  ])("is refused: %s", async (_what, token) => {
    await expect(verify(token())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test.each(wrongClaims)("is refused with %s", async (_what, wrong) => {
    await expect(verify(forged({ alg: "HS256" }, payloadOf(wrong)))).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
  });

  test("may have 8 KiB", async () => {
    const room = 8_192 - hs256({ x: "" }).length;
    const token = hs256({ x: "a".repeat(Math.floor((room * 3) / 4) - 3) });
    expect(token.length).toBeGreaterThan(8_180);
    expect(await verify(token)).toMatchObject({ userId: 7 });
  });

  test.each<[object, string]>([
    [{ exp: 1_000_000_000 }, "The token has expired."],
    [{ aud: "other" }, 'The token\'s claim "aud" is missing or wrong.'],
    [{ sub: "Ann" }, 'The token\'s claim "sub" is not a user id.'],
    [{ exp: 1e300 }, 'The token\'s claim "exp" is not in seconds since 1970.'],
  ])("says what is wrong: %o", async (more, message) => {
    await expect(verify(hs256(more))).rejects.toMatchObject({ message });
  });
});

describe("when clocks differ", () => {
  const exp = 1_900_000_000;
  const at = (seconds: number) =>
    createVerifier({ ...checks, jwtSecret: SECRET }, { now: () => seconds * 1_000 });

  test.each([
    [exp - 1, exp],
    [exp, exp + CLOCK_TOLERANCE_S],
    [exp + CLOCK_TOLERANCE_S - 1, exp + CLOCK_TOLERANCE_S],
  ])("at %i a token lasts until %i", async (seconds, expiresAt) => {
    expect(await at(seconds)(hs256({ exp }))).toEqual({ userId: 7, expiresAt });
  });

  test("a token is refused when its exp is past by the tolerance", async () => {
    await expect(at(exp + CLOCK_TOLERANCE_S)(hs256({ exp }))).rejects.toMatchObject({
      message: "The token has expired.",
    });
  });

  test("a token may come before its nbf by the tolerance, and not by more", async () => {
    const token = hs256({ exp: exp + 100, nbf: exp });
    expect(await at(exp - CLOCK_TOLERANCE_S)(token)).toMatchObject({ userId: 7 });
    await expect(at(exp - CLOCK_TOLERANCE_S - 1)(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test("a fraction of exp does not count", async () => {
    expect(await at(exp - 1)(hs256({ exp: exp + 0.9 }))).toMatchObject({ expiresAt: exp });
  });
});

test("a verifier needs a key of some kind", () => {
  expect(() => createVerifier(checks)).toThrow("Neither the URI of a key set nor a secret");
});

describe("a token signed with the identity provider's key", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ed = generateKeyPairSync("ed25519");
  const weak = generateKeyPairSync("rsa", { modulusLength: 1_024 });
  const pss = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  let keyServer: Server;
  let jwksUri: string;
  let fetched = 0;
  let answer: { status: number; body: string };
  let rightAnswer: string;
  /** The URL at which forged tokens say that their keys are. */
  let lure: Server;
  let lureUrl: string;
  let lured = 0;
  let errors: unknown[] = [];
  let clock = Date.now();

  const keyOf = async (key: KeyObject, kid: string, alg?: string): Promise<JWK> => ({
    ...(await exportJWK(key)),
    kid,
    use: "sig",
    ...(alg === undefined ? {} : { alg }),
  });
  const setOf = (...keys: object[]): string => JSON.stringify({ keys });

  beforeAll(async () => {
    rightAnswer = setOf(
      await keyOf(rsa.publicKey, "rsa", "RS256"),
      await keyOf(ec.publicKey, "ec", "ES256"),
      await keyOf(ed.publicKey, "ed", "EdDSA"),
      await keyOf(weak.publicKey, "weak", "RS256"),
      await keyOf(pss.publicKey, "pss", "PS256"),
      { ...(await keyOf(stranger.publicKey, "encryption", "RS256")), use: "enc" },
    );
    ({ server: keyServer, url: jwksUri } = await listen((_request, response) => {
      fetched += 1;
      response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
    }));
    ({ server: lure, url: lureUrl } = await listen((_request, response) => {
      lured += 1;
      void keyOf(stranger.publicKey, "rsa", "RS256").then((key) => response.end(setOf(key)));
    }));
  });
  afterAll(() => Promise.all([close(keyServer), close(lure)]));
  beforeEach(() => {
    [fetched, lured, errors, clock] = [0, 0, [], Date.now()];
    answer = { status: 200, body: rightAnswer };
  });
  afterEach(() => expect(lured).toBe(0));

  const verifier = (more: object = {}) =>
    createVerifier(
      { ...checks, jwksUri, ...more },
      { now: () => clock, onError: (error) => errors.push(error) },
    );
  const signed = (alg: string, kid: string, key: KeyObject, more: object = {}): Promise<string> =>
    new SignJWT(claims(more)).setProtectedHeader({ alg, kid }).sign(key);
  const publicKey = (type: "pem" | "der"): string | Buffer =>
    type === "pem"
      ? rsa.publicKey.export({ type: "spki", format: "pem" })
      : rsa.publicKey.export({ type: "spki", format: "der" });
  /** A token signed with a key that isn't the provider's. The header holds the key, or the URL of the key. */
  const bringing = async (header: object): Promise<string> =>
    rs256(stranger.privateKey, { alg: "RS256", ...header }, claims());

  test.each([
    ["RS256", "rsa", rsa.privateKey],
    ["ES256", "ec", ec.privateKey],
    ["EdDSA", "ed", ed.privateKey],
  ])("is accepted with %s", async (alg, kid, key) => {
    expect(await verifier()(await signed(alg, kid, key))).toMatchObject({ userId: 7 });
  });

  test("is accepted with any hints at keys, because none of them is looked at", async () => {
    const jwk = await exportJWK(stranger.publicKey);
    const header = { alg: "RS256", kid: "rsa", typ: "at+jwt", x5t: "AA", jku: lureUrl, x5u: lureUrl, jwk };
    expect(await verifier()(rs256(rsa.privateKey, header, claims()))).toMatchObject({ userId: 7 });
  });

  describe("is refused when it is forged:", () => {
    const noneOfLetters = ["none", "None", "NONE", "nOnE", "none ", ""];
    const kids = [
      "../../../../dev/null",
      "rsa'; DROP TABLE users; --",
      "rsa\0",
      "RSA",
      "/etc/passwd",
      "file:///dev/null",
    ];
    test.each<[string, () => Promise<string> | string]>([
      ...noneOfLetters.flatMap((alg): [string, () => string][] => [
        [`alg ${JSON.stringify(alg)}`, () => `${base64url({ alg, kid: "rsa" })}.${base64url(claims())}.`],
        [
          `alg ${JSON.stringify(alg)} and a signature`,
          () => `${base64url({ alg, kid: "rsa" })}.${base64url(claims())}.AAAA`,
        ],
      ]),
      ...kids.map((kid): [string, () => Promise<string>] => [
        `key id ${JSON.stringify(kid)}`,
        () => signed("RS256", kid, stranger.privateKey),
      ]),
      ["a key id of 4,000 characters", () => signed("RS256", "k".repeat(4_000), stranger.privateKey)],
      ["a key id that is a number", () => bringing({ kid: 5 })],
      ["a key id that is a list", () => bringing({ kid: ["rsa"] })],
      ["a key id nobody has", () => signed("RS256", "other", rsa.privateKey)],
      ["no key id, where it could be any", () => bringing({})],
      [
        "HS256 with the public key's PEM",
        () => forged({ alg: "HS256", kid: "rsa" }, claims(), publicKey("pem")),
      ],
      [
        "HS256 with the public key's PEM without its last line end",
        () => forged({ alg: "HS256", kid: "rsa" }, claims(), publicKey("pem").toString().trim()),
      ],
      [
        "HS256 with the public key's DER",
        () => forged({ alg: "HS256", kid: "rsa" }, claims(), publicKey("der")),
      ],
      [
        "HS256 with the public key's JWK",
        async () =>
          forged({ alg: "HS256", kid: "rsa" }, claims(), JSON.stringify(await exportJWK(rsa.publicKey))),
      ],
      [
        "HS256 with the public key's modulus",
        async () =>
          forged(
            { alg: "HS256", kid: "rsa" },
            claims(),
            Buffer.from((await exportJWK(rsa.publicKey)).n!, "base64url"),
          ),
      ],
      ["HS256 with an empty key", () => forged({ alg: "HS256", kid: "rsa" }, claims(), "")],
      ["RS256 that is a HMAC", () => forged({ alg: "RS256", kid: "rsa" }, claims(), publicKey("pem"))],
      ["HS256 without a secret configured", () => hs256()],
      ["another RSA key", () => signed("RS256", "rsa", stranger.privateKey)],
      ["RS256 naming the EC key", () => signed("RS256", "ec", rsa.privateKey)],
      ["RS256 naming the key that is for PS256", () => signed("RS256", "pss", pss.privateKey)],
      [
        "RS256 naming the key that is for encryption",
        () => signed("RS256", "encryption", stranger.privateKey),
      ],
      ["ES256 naming the RSA key", () => signed("ES256", "rsa", ec.privateKey)],
      ["a key of 1,024 bits", () => rs256(weak.privateKey, { alg: "RS256", kid: "weak" }, claims())],
      ["RS384, which is not on the list", () => signed("RS384", "rsa", rsa.privateKey)],
      ["PS256, which is not on the list", () => signed("PS256", "pss", pss.privateKey)],
      [
        "a stripped signature",
        async () => (await signed("RS256", "rsa", rsa.privateKey)).replace(/[^.]+$/, ""),
      ],
      [
        "a signature of zeros",
        () => `${base64url({ alg: "RS256", kid: "rsa" })}.${base64url(claims())}.${"A".repeat(342)}`,
      ],
      [
        "an ES256 signature of r = s = 0",
        () => `${base64url({ alg: "ES256", kid: "ec" })}.${base64url(claims())}.${"A".repeat(86)}`,
      ],
      [
        "an ES256 signature of r = s = the order",
        () => {
          const order = Buffer.from(
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551".repeat(2),
            "hex",
          );
          const header = base64url({ alg: "ES256", kid: "ec" });
          return `${header}.${base64url(claims())}.${order.toString("base64url")}`;
        },
      ],
      [
        "an ES256 signature in DER",
        () => {
          const text = `${base64url({ alg: "ES256", kid: "ec" })}.${base64url(claims())}`;
          return `${text}.${sign("sha256", Buffer.from(text), ec.privateKey).toString("base64url")}`;
        },
      ],
      [
        "an EdDSA signature of zeros",
        () => `${base64url({ alg: "EdDSA", kid: "ed" })}.${base64url(claims())}.${"A".repeat(86)}`,
      ],
      [
        "a swapped payload",
        async () =>
          (await signed("RS256", "rsa", rsa.privateKey)).replace(
            /\.[^.]+\./,
            `.${base64url(claims({ sub: "8" }))}.`,
          ),
      ],
      ["a key in the header", async () => bringing({ jwk: await exportJWK(stranger.publicKey) })],
      [
        "a key in the header beside a right key id",
        async () => bringing({ kid: "rsa", jwk: await exportJWK(stranger.publicKey) }),
      ],
      ["a key at jku", () => bringing({ kid: "rsa", jku: `${lureUrl}/keys` })],
      ["a key at jku, of an id nobody has", () => bringing({ kid: "other", jku: `${lureUrl}/keys` })],
      ["a certificate at x5u", () => bringing({ kid: "rsa", x5u: `${lureUrl}/certificate` })],
      ["a certificate in the header", () => bringing({ kid: "rsa", x5c: ["AAAA"] })],
      [
        "an issuer of its own",
        async () => rs256(stranger.privateKey, { alg: "RS256", kid: "rsa" }, claims({ iss: lureUrl })),
      ],
      [
        "alg twice, none last",
        () => rs256(stranger.privateKey, '{"alg":"RS256","alg":"none","kid":"rsa"}', claims()),
      ],
      [
        "alg twice, none first",
        () => rs256(stranger.privateKey, '{"alg":"none","alg":"RS256","kid":"rsa"}', claims()),
      ],
      [
        "alg twice, HS256 last",
        () => forged('{"alg":"RS256","alg":"HS256","kid":"rsa"}', claims(), publicKey("pem")),
      ],
      [
        "alg behind __proto__",
        () => `${base64url('{"__proto__":{"alg":"RS256"},"kid":"rsa"}')}.${base64url(claims())}.AAAA`,
      ],
      [
        "a critical header",
        async () => rs256(rsa.privateKey, { alg: "RS256", kid: "rsa", crit: ["exp"], exp: 1 }, claims()),
      ],
      [
        "b64",
        async () => rs256(rsa.privateKey, { alg: "RS256", kid: "rsa", b64: true, crit: ["b64"] }, claims()),
      ],
      [
        "an encrypted token",
        async () =>
          new CompactEncrypt(Buffer.from(JSON.stringify(claims())))
            .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: "rsa" })
            .encrypt(rsa.publicKey),
      ],
      [
        "a token in a token",
        async () =>
          rs256(
            rsa.privateKey,
            { alg: "RS256", kid: "rsa", cty: "JWT" },
            await signed("RS256", "rsa", rsa.privateKey),
          ),
      ],
      [
        "JWS in JSON",
        async () => {
          const [header, payload, signature] = (await signed("RS256", "rsa", rsa.privateKey)).split(".");
          return JSON.stringify({ protected: header, payload, signature });
        },
      ],
      ["white space in it", async () => (await signed("RS256", "rsa", rsa.privateKey)).replace(/\./g, " . ")],
    ])("%s", async (_what, token) => {
      const verify = verifier();
      await expect(verify(await token())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      // Also with the keys at hand.
      await verify(await signed("ES256", "ec", ec.privateKey));
      await expect(verify(await token())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      expect(errors).toEqual([]);
    });

    test.each(wrongClaims)("%s", async (_what, wrong) => {
      const token = rs256(rsa.privateKey, { alg: "RS256", kid: "rsa" }, payloadOf(wrong));
      await expect(verifier()(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    });
  });

  test("a secret does not count beside the key server", async () => {
    const verify = verifier({ jwtSecret: SECRET });
    expect(await verify(await signed("RS256", "rsa", rsa.privateKey))).toMatchObject({ userId: 7 });
    await expect(verify(hs256())).rejects.toMatchObject({
      code: "UNAUTHORIZED",
      message: "The token's algorithm is not accepted here.",
    });
  });

  test("a key set's symmetric and private keys are no keys", async () => {
    const secret = { kty: "oct", k: base64url(SECRET), kid: "oct", alg: "HS256" };
    answer.body = setOf(secret, await keyOf(stranger.privateKey, "private", "RS256"));
    for (const token of [
      forged({ alg: "HS256", kid: "oct" }, claims()),
      await signed("RS256", "private", stranger.privateKey),
    ])
      await expect(verifier()(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  describe("is found among keys as providers publish them:", () => {
    const other = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const otherEd = generateKeyPairSync("ed25519");
    const ec384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const ed448 = generateKeyPairSync("ed448");

    /** Signed by hand: the library would not write every header that providers do. */
    const token = (header: object, key: KeyObject, more: object = {}): string => {
      const text = `${base64url(header)}.${base64url(claims(more))}`;
      const digest = key.asymmetricKeyType === "ed25519" ? null : "sha256";
      const signature = sign(digest, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
      return `${text}.${signature.toString("base64url")}`;
    };
    const bare = (key: KeyObject, more: object = {}): object => ({
      ...key.export({ format: "jwk" }),
      ...more,
    });
    const accepted = async (header: object, key: KeyObject, ...keys: unknown[]): Promise<void> => {
      answer.body = JSON.stringify({ keys });
      expect(await verifier()(token(header, key))).toMatchObject({ userId: 7 });
    };
    const refused = async (header: object, key: KeyObject, ...keys: unknown[]): Promise<void> => {
      answer.body = JSON.stringify({ keys });
      await expect(verifier()(token(header, key))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    };
    const RS256 = { alg: "RS256" };

    test("a token without kid, while an old and a new key are there", async () => {
      const both = [bare(other.publicKey, { kid: "old" }), bare(rsa.publicKey, { kid: "new" })];
      await accepted(RS256, rsa.privateKey, ...both);
      await accepted(RS256, other.privateKey, ...both);
      await refused(RS256, stranger.privateKey, ...both);
    });

    test("keys without kid, alg and use, one of several that may have signed", async () => {
      const keys = [rsa, ec, other, ed, otherEd].map(({ publicKey }) => bare(publicKey));
      for (const [alg, pair] of [
        ["RS256", rsa],
        ["RS256", other],
        ["ES256", ec],
        ["EdDSA", ed],
        ["EdDSA", otherEd],
      ] as const)
        await accepted({ alg }, pair.privateKey, ...keys);
      await refused(RS256, stranger.privateKey, ...keys);
    });

    test("a kid that two keys of different types, and two of one type, share", async () => {
      const keys = [ec, ed, other, rsa].map(({ publicKey }) => bare(publicKey, { kid: "1" }));
      for (const [alg, pair] of [
        ["RS256", rsa],
        ["RS256", other],
        ["ES256", ec],
        ["EdDSA", ed],
      ] as const)
        await accepted({ alg, kid: "1" }, pair.privateKey, ...keys);
    });

    test("a kid that is not in the set may mean a key without a kid, not one with another", async () => {
      await accepted(
        { alg: "RS256", kid: "a" },
        rsa.privateKey,
        bare(other.publicKey, { kid: "b" }),
        bare(rsa.publicKey),
      );
      await refused({ alg: "RS256", kid: "a" }, rsa.privateKey, bare(rsa.publicKey, { kid: "b" }));
      await refused(
        { alg: "RS256", kid: "a" },
        other.privateKey,
        bare(rsa.publicKey, { kid: "a" }),
        bare(other.publicKey),
      );
    });

    test.each<[string, object]>([
      ["a number as kid", { kid: 1 }],
      ["null for what is optional", { alg: null, use: null, key_ops: null }],
      ["what it is for", { use: "sig", key_ops: ["verify"], alg: "RS256" }],
      ["members that nobody knows", { issuer: "x", ext: "yes", x5t: 5, x5c: 5 }],
    ])("a key with %s", async (_what, more) => {
      await accepted({ alg: "RS256", kid: "1" }, rsa.privateKey, bare(rsa.publicKey, more));
    });

    test.each<[string, object]>([
      ["for encryption", { use: "enc" }],
      ["for signing and something else", { use: "sig enc" }],
      ["to wrap keys with", { key_ops: ["wrapKey"] }],
      ["for RSA-OAEP", { alg: "RSA-OAEP-256" }],
      ["for RS512", { alg: "RS512" }],
      ["for PS256", { alg: "PS256" }],
      ["for an algorithm that is no text", { alg: ["RS256"] }],
    ])("but not a key %s, also where the token names it", async (_what, more) => {
      await refused({ alg: "RS256", kid: "1" }, rsa.privateKey, bare(rsa.publicKey, { kid: "1", ...more }));
      await refused(RS256, rsa.privateKey, bare(rsa.publicKey, more));
    });

    test("a good key beside what is none", async () => {
      const good = bare(rsa.publicKey, { kid: "1" });
      const junk: unknown[] = [
        5,
        null,
        "key",
        [],
        {},
        { kty: "AKP", alg: "ML-DSA-44", kid: "1", pub: "AAAA" },
        { kty: "oct", k: base64url(SECRET), kid: "1" },
        { kty: "RSA", kid: "1" },
        { kty: "RSA", kid: "1", n: "%", e: "AQAB" },
        { kty: "RSA", kid: "1", n: 5, e: "AQAB" },
        { kty: "EC", crv: "P-256", kid: "1", x: "AA", y: "AA" },
        { kty: "RSA", kid: "1", x5c: ["AAAA"] },
        { kty: "RSA", kid: "1", x5c: [] },
        { kty: 5, kid: "1" },
        bare(weak.publicKey, { kid: "1" }),
        bare(ec384.publicKey, { kid: "1" }),
        bare(ed448.publicKey, { kid: "1" }),
        bare(stranger.privateKey, { kid: "1" }),
      ];
      for (const header of [RS256, { alg: "RS256", kid: "1" }]) {
        await accepted(header, rsa.privateKey, ...junk, good);
        await accepted(header, rsa.privateKey, good, ...junk);
        for (const pair of [weak, stranger]) await refused(header, pair.privateKey, ...junk, good);
      }
    });

    test("a key that is published as its certificate alone", async () => {
      const entry = { kty: "RSA", kid: "1", use: "sig", x5c: [CERTIFICATE] };
      const verified = (key: object): Promise<unknown> => {
        answer.body = setOf(key);
        return verifier()(CERTIFIED_TOKEN);
      };
      expect(await verified(entry)).toMatchObject({ userId: 7 });
      expect(await verified({ ...entry, kid: undefined })).toMatchObject({ userId: 7 });
      // The key itself counts if the set has it.
      for (const wrong of [{ ...entry, use: "enc" }, bare(rsa.publicKey, entry)])
        await expect(verified(wrong)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    });

    test.each([
      ["EdDSA", "EdDSA"],
      ["EdDSA", "Ed25519"],
      ["EdDSA", undefined],
      ["Ed25519", "EdDSA"],
      ["Ed25519", "Ed25519"],
      ["Ed25519", undefined],
    ])("alg %s, and a key whose alg is %s", async (alg, own) => {
      await accepted({ alg, kid: "1" }, ed.privateKey, bare(ed.publicKey, { kid: "1", alg: own }));
      await refused({ alg, kid: "1" }, otherEd.privateKey, bare(ed.publicKey, { kid: "1", alg: own }));
      await refused({ alg, kid: "1" }, ed.privateKey, bare(ed.publicKey, { kid: "1", alg: "ES256" }));
    });

    test("one of sixteen, and not of any number", async () => {
      const many = Array.from({ length: 16 }, () => bare(generateKeyPairSync("ed25519").publicKey));
      await accepted({ alg: "EdDSA" }, ed.privateKey, ...many.slice(1), bare(ed.publicKey));
      await refused({ alg: "EdDSA" }, ed.privateKey, ...many, bare(ed.publicKey));
    });

    test("a token that is signed rightly and wrong otherwise is refused for that", async () => {
      answer.body = setOf(bare(other.publicKey), bare(rsa.publicKey));
      await expect(verifier()(token(RS256, rsa.privateKey, { exp: 1 }))).rejects.toMatchObject({
        message: "The token has expired.",
      });
    });

    test("a new key without kid is fetched at once, for forged tokens once in half a minute", async () => {
      answer.body = setOf(bare(other.publicKey));
      const verify = verifier();
      await verify(token(RS256, other.privateKey));
      answer.body = setOf(bare(rsa.publicKey));
      expect(await verify(token(RS256, rsa.privateKey))).toMatchObject({ userId: 7 });
      expect(fetched).toBe(2);
      for (const header of [RS256, { alg: "RS256", kid: "made up" }])
        await expect(verify(token(header, stranger.privateKey))).rejects.toMatchObject({
          code: "UNAUTHORIZED",
        });
      expect(fetched).toBe(2);
      clock += 30_000;
      await expect(verify(token(RS256, stranger.privateKey))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      expect(fetched).toBe(3);
    });

    test("a wrong signature in the name of a key that is there fetches nothing", async () => {
      const verify = verifier();
      await verify(await signed("RS256", "rsa", rsa.privateKey));
      await expect(verify(token({ alg: "RS256", kid: "rsa" }, stranger.privateKey))).rejects.toMatchObject({
        code: "UNAUTHORIZED",
      });
      expect(fetched).toBe(1);
    });
  });

  describe("has its keys fetched", () => {
    test("once for users and trusted services together", async () => {
      const { verifyToken, verifyTrusted } = createVerifiers({ ...checks, jwksUri });
      const token = await signed("RS256", "rsa", rsa.privateKey, { scope: "other chat.admin" });
      await Promise.all([verifyToken(token), verifyTrusted(token)]);
      await expect(verifyTrusted(await signed("ES256", "ec", ec.privateKey))).rejects.toMatchObject({
        code: "FORBIDDEN",
      });
      expect(fetched).toBe(1);
    });

    test("once for many tokens", async () => {
      const verify = verifier();
      const tokens = await Promise.all(
        Array.from({ length: 20 }, () => signed("RS256", "rsa", rsa.privateKey)),
      );
      await Promise.all(tokens.map(verify));
      expect(fetched).toBe(1);
    });

    test("not at all for what can't be a token", async () => {
      const verify = verifier();
      for (const token of ["token", hs256(), "A".repeat(9_000), `${base64url({ alg: "none" })}.e30.`])
        await expect(verify(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      expect(fetched).toBe(0);
    });

    test("once for many tokens of a new key, right after they were fetched for another reason", async () => {
      const verify = verifier();
      await verify(await signed("RS256", "rsa", rsa.privateKey));
      answer.body = setOf(await keyOf(stranger.publicKey, "new", "RS256"));
      const fresh = await signed("RS256", "new", stranger.privateKey);
      await Promise.all(Array.from({ length: 20 }, () => verify(fresh)));
      expect(fetched).toBe(2);
      // A key that the provider has taken back is refused from then on.
      const old = await signed("RS256", "rsa", rsa.privateKey);
      await expect(verify(old)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    });

    test("once in half a minute, however many key ids somebody makes up", async () => {
      const verify = verifier();
      await verify(await signed("RS256", "rsa", rsa.privateKey));
      const madeUp = (kid: number): Promise<unknown> =>
        signed("RS256", `kid-${kid}`, stranger.privateKey)
          .then(verify)
          .catch(({ code }) => code);
      for (let round = 0; round < 3; round += 1) {
        const codes = await Promise.all(Array.from({ length: 20 }, (_, index) => madeUp(index)));
        expect(new Set(codes)).toEqual(new Set(["UNAUTHORIZED"]));
        for (let kid = 0; kid < 5; kid += 1) expect(await madeUp(kid)).toBe("UNAUTHORIZED");
        expect(fetched).toBe(2 + round);
        clock += 30_000;
      }
    });

    test("so that a key which comes while somebody makes up ids is found within half a minute", async () => {
      const verify = verifier();
      await verify(await signed("RS256", "rsa", rsa.privateKey));
      await expect(verify(await signed("RS256", "made up", rsa.privateKey))).rejects.toThrow();
      answer.body = setOf(await keyOf(stranger.publicKey, "new", "RS256"));
      const token = await signed("RS256", "new", stranger.privateKey);
      await expect(verify(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      clock += 30_000;
      expect(await verify(token)).toMatchObject({ userId: 7 });
    });

    test("again when they are ten minutes old, while the old ones go on serving", async () => {
      const verify = verifier();
      const token = await signed("RS256", "rsa", rsa.privateKey);
      await verify(token);
      clock += 10 * 60_000;
      await verify(token);
      await expect.poll(() => fetched).toBe(2);
      clock += 10 * 60_000 - 1;
      await verify(token);
      expect(fetched).toBe(2);
    });

    test("in vain for up to an hour, and no longer", async () => {
      const verify = verifier();
      const token = await signed("RS256", "rsa", rsa.privateKey, { exp: inAnHour() * 2 });
      await verify(token);
      answer = { status: 500, body: "" };
      for (let minutes = 10; minutes < 60; minutes += 10) {
        clock += 10 * 60_000;
        expect(await verify(token)).toMatchObject({ userId: 7 });
        await expect.poll(() => errors.length).toBe(minutes / 10);
      }
      clock += 10 * 60_000;
      await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      answer = { status: 200, body: rightAnswer };
      clock += 2_000;
      expect(await verify(token)).toMatchObject({ userId: 7 });
    });

    test("at once after the clock was set back", async () => {
      const verify = verifier();
      answer = { status: 500, body: "" };
      const token = await signed("RS256", "rsa", rsa.privateKey);
      await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      answer = { status: 200, body: rightAnswer };
      clock -= 60_000;
      expect(await verify(token)).toMatchObject({ userId: 7 });
    });
  });

  describe("is not judged while the key server", () => {
    test.each<[string, () => { status: number; body: string }]>([
      ["answers 500", () => ({ status: 500, body: "{}" })],
      ["redirects", () => ({ status: 302, body: "" })],
      ["answers no JSON", () => ({ status: 200, body: "<html>" })],
      ["answers null", () => ({ status: 200, body: "null" })],
      ["answers something else", () => ({ status: 200, body: '{"keys":"none"}' })],
      ["has no keys", () => ({ status: 200, body: '{"keys":[]}' })],
      ["has keys that are none", () => ({ status: 200, body: '{"keys":[5]}' })],
      ["does not come to an end", () => ({ status: 200, body: `${rightAnswer}${" ".repeat(300_000)}` })],
    ])("%s, nor asked for again at once, and is accepted afterwards", async (_what, wrong) => {
      const verify = verifier();
      const token = await signed("RS256", "rsa", rsa.privateKey);
      answer = wrong();
      const ask = () => expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await Promise.all([ask(), ask(), ask()]);
      answer = { status: 200, body: rightAnswer };
      clock += 1_999;
      await ask();
      expect([fetched, errors.length]).toEqual([1, 1]);
      clock += 1;
      expect(await verify(token)).toMatchObject({ userId: 7 });
    });

    test("is away, if its key isn't at hand; the others go on serving", async () => {
      const verify = verifier();
      const old = await signed("RS256", "rsa", rsa.privateKey);
      await verify(old);
      answer = { status: 503, body: "" };
      const fresh = await signed("RS256", "new", stranger.privateKey);
      await expect(verify(fresh)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await verify(old)).toMatchObject({ userId: 7 });
      answer.body = setOf(await keyOf(stranger.publicKey, "new", "RS256"));
      answer.status = 200;
      clock += 2_000;
      expect(await verify(fresh)).toMatchObject({ userId: 7 });
    });

    test("is down; what can't be a token is refused all the same", async () => {
      const { server, url } = await listen(() => {});
      await close(server);
      const verify = verifier({ jwksUri: url, jwtSecret: SECRET });
      const token = await signed("RS256", "rsa", rsa.privateKey);
      await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(verify("no token")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      await expect(verify(hs256())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    });

    test("does not answer, for five seconds", async () => {
      const { server, url } = await listen((_request, response) => void response.write('{"keys":['));
      onTestFinished(() => close(server));
      const verify = verifier({ jwksUri: url });
      const token = await signed("RS256", "rsa", rsa.privateKey);
      await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });
  });

  describe("lets a service in by its managed identity", () => {
    const objectId = "1b4f5a3e-0000-4000-8000-000000000001";
    const caller = () =>
      createCallerVerifier(
        { ...checks, objectId, jwksUri },
        { now: () => clock, onError: (error) => errors.push(error) },
      );
    const bearer = async (token: string | Promise<string>): Promise<string> => `Bearer ${await token}`;

    test("as it is, and up to half a minute too late", async () => {
      const verify = caller();
      const authorization = await bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId }));
      await verify(authorization);
      clock = (inAnHour() + CLOCK_TOLERANCE_S - 2) * 1_000;
      await verify(authorization);
    });

    test.each<[string, () => string | undefined | Promise<string>]>([
      ["no header", () => undefined],
      ["an empty header", () => ""],
      [
        "another scheme",
        async () => `Basic ${await signed("RS256", "rsa", rsa.privateKey, { oid: objectId })}`,
      ],
      ["no oid", () => bearer(signed("RS256", "rsa", rsa.privateKey))],
      [
        "another oid",
        () => bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId.replace("1", "2") })),
      ],
      ["a list of oids", () => bearer(signed("RS256", "rsa", rsa.privateKey, { oid: [objectId] }))],
      ["another issuer", () => bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId, iss: "x" }))],
      ["another audience", () => bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId, aud: "x" }))],
      ["a past exp", () => bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId, exp: 1 }))],
      ["another key", () => bearer(signed("RS256", "rsa", stranger.privateKey, { oid: objectId }))],
      [
        "ES256, though the key is the provider's",
        () => bearer(signed("ES256", "ec", ec.privateKey, { oid: objectId })),
      ],
      ["HS256", () => bearer(hs256({ oid: objectId }))],
      [
        "HS256 with the public key",
        () => bearer(forged({ alg: "HS256", kid: "rsa" }, claims({ oid: objectId }), publicKey("pem"))),
      ],
    ])("and not with %s", async (_what, authorization) => {
      await expect(caller()(await authorization())).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    });

    test("and can't say while the keys can't be fetched", async () => {
      answer = { status: 500, body: "" };
      const authorization = await bearer(signed("RS256", "rsa", rsa.privateKey, { oid: objectId }));
      await expect(caller()(authorization)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });
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

describe("what a refused token says of itself", () => {
  const bearer = (claims: object): string =>
    `Bearer e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

  test("is its issuer, audience, identity and end, each cut, and nothing else", () => {
    const claims = { iss: "https://sts.windows.net/x/", aud: ["a", "b"], oid: "o", exp: 5, sub: "secret" };
    expect(uncheckedClaims(bearer(claims))).toEqual({
      iss: "https://sts.windows.net/x/",
      aud: "a,b",
      oid: "o",
      exp: "5",
    });
    expect(uncheckedClaims(bearer({ iss: "i".repeat(5_000) }))).toEqual({ iss: "i".repeat(200) });
  });

  test.each([undefined, "", "Basic x", "Bearer x", "Bearer a.b.c", "Bearer a.b.c, Bearer d.e.f"])(
    "is nothing for %j",
    (authorization) => {
      expect(uncheckedClaims(authorization)).toBe(undefined);
    },
  );
});
