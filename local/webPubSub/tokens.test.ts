import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { audienceMatches, TokenError, Tokens } from "./tokens.js";

const NOW = 1_700_000_000_000;
const exp = NOW / 1000 + 60;
const tokens = new Tokens(["primary", "secondary"]);

function make(claims: object, key = "primary", header: object = { typ: "JWT", alg: "HS256" }): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

describe("a token", () => {
  test.each(["primary", "secondary"])("is taken with the %s key", (key) => {
    expect(tokens.verify(make({ exp, sub: "7" }, key), NOW)).toEqual({ exp, sub: "7" });
  });

  test("that we sign is one that we take", () => {
    expect(tokens.verify(tokens.sign({ exp }), NOW)).toEqual({ exp });
  });

  test.each([
    ["another key", make({ exp }, "other")],
    ["no exp", make({})],
    ["an exp that is text", make({ exp: "soon" })],
    ["an exp that is now", make({ exp: NOW / 1000 })],
    ["an nbf far ahead", make({ exp, nbf: NOW / 1000 + 3600 })],
    ["alg none", make({ exp }, "primary", { alg: "none" })],
    ["an RS256 header", make({ exp }, "primary", { alg: "RS256" })],
    ["no signature", make({ exp }).replace(/[^.]+$/, "")],
    ["a header that is not JSON", `x.${make({ exp }).split(".").slice(1).join(".")}`],
    ["claims that are null", make(null as unknown as object)],
    ["two parts", "a.b"],
    ["nothing", ""],
  ])("is refused with %s", (_what, token) => {
    expect(() => tokens.verify(token, NOW)).toThrow(TokenError);
  });
});

describe("an audience", () => {
  const accepts = (url: URL) => url.pathname === "/client/hubs/chat";
  test.each([
    ["http://127.0.0.1:8080/client/hubs/chat", true],
    ["http://localhost/client/hubs/chat", true],
    ["https://[::1]:1/client/hubs/chat", true],
    ["http://chat.test:8080/client/hubs/chat", true],
    ["http://elsewhere.test/client/hubs/chat", false],
    ["http://localhost/client/hubs/other", false],
    ["ftp://localhost/client/hubs/chat", false],
    ["not a url", false],
    [["http://x.test/", "http://localhost/client/hubs/chat"], true],
    [undefined, false],
    [7, false],
  ])("%s matches: %s", (aud, matches) => {
    expect(audienceMatches({ aud }, "chat.test:8080", accepts)).toBe(matches);
  });
});
