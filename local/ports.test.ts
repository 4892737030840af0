import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePorts, portFromEnvironment, requireFreePorts } from "./ports.js";

const api = { service: "the API", variable: "API_PORT" };

test("finds different free ports", async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  await requireFreePorts(ports.map((port, index) => ({ ...api, variable: `PORT_${index}`, port })));
});

const CLAIMS = join(tmpdir(), "nonstop-chat-ports");

test("gives no port that a living process has been given, though nobody listens there", async () => {
  const [mine] = await freePorts(1);
  expect(readFileSync(join(CLAIMS, String(mine)), "utf8")).toBe(String(process.pid));
  const other = spawn("sleep", ["100"]);
  const next = join(CLAIMS, String(mine! + 1));
  try {
    writeFileSync(next, String(other.pid));
    expect(await freePorts(3)).not.toContain(mine! + 1);
  } finally {
    other.kill("SIGKILL");
    rmSync(next);
  }
});

test("names a taken port, its service and the ways out", async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const { port } = holder.address() as { port: number };
  await expect(requireFreePorts([{ ...api, port }])).rejects.toThrow(
    `port ${port} for the API is taken: set API_PORT to another one\nor take free ports: npm start -- --ports auto`,
  );
  await new Promise((resolve) => holder.close(resolve));
});

test.each([
  [undefined, 7071],
  ["", 7071],
  ["8000", 8000],
])("takes %j in the environment as port %i", (text, port) => {
  expect(portFromEnvironment(text === undefined ? {} : { API_PORT: text }, "API_PORT", 7071)).toBe(port);
});

test.each(["http", "0", "65536", "-1", "80.5", " 80", "0x50"])("refuses %j as a port", (text) => {
  expect(() => portFromEnvironment({ API_PORT: text }, "API_PORT", 7071)).toThrow("must be a port number");
});
