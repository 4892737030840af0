import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwtVerify } from "jose";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "nonstop-token-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secret = "a secret of this test, thirty-two bytes or more";
const auth = { AUTH_JWT_SECRET: secret, AUTH_ISSUER: "us", AUTH_AUDIENCE: "them" };

/** Runs the built command; `data` holds no stack unless a test puts one there. */
function token(args: string[], env: Record<string, string> = auth) {
  const { AUTH_JWT_SECRET, AUTH_ISSUER, AUTH_AUDIENCE, ...rest } = process.env;
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      ["dist/local/token.js", ...args, "--data", folder],
      { env: { ...rest, ...env } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test("prints nothing but a token that says who someone is, for a day", async () => {
  const { stdout } = await token(["17", "김 Ann"]);
  const { payload } = await jwtVerify(stdout.trimEnd(), new TextEncoder().encode(secret), {
    issuer: "us",
    audience: "them",
  });
  expect(payload).toMatchObject({ sub: "17", nickname: "김 Ann" });
  expect(payload.exp! - payload.iat!).toBe(24 * 60 * 60);
});

test("signs for the stack that runs on the data folder", async () => {
  writeFileSync(join(folder, "stack.json"), JSON.stringify({ auth: { ...auth, AUTH_ISSUER: "the stack" } }));
  const { stdout } = await token(["1"], {});
  const { payload } = await jwtVerify(stdout.trimEnd(), new TextEncoder().encode(secret));
  expect(payload).toMatchObject({ sub: "1", iss: "the stack" });
  expect(payload).not.toHaveProperty("nickname");
});

test.each([
  [[], "USER_ID is missing"],
  [["0"], 'USER_ID is "0"'],
  [["01"], 'USER_ID is "01"'],
  [["Ann"], 'USER_ID is "Ann"'],
  [["1.5"], 'USER_ID is "1.5"'],
  [["9007199254740992"], 'USER_ID is "9007199254740992"'],
  [["1", "Ann", "Lee"], '"Lee" is one word too many'],
  [["1", "--ago"], "--ago"],
])("answers %j with the usage", async (args, message) => {
  const { code, stdout, stderr } = await token(args);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(message);
  expect(stderr).toContain("npm run --silent token -- USER_ID");
});
