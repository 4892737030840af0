import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlobServiceClient } from "@azure/storage-blob";
import { Redis } from "ioredis";
import mysql from "mysql2/promise";
import { afterAll, describe, expect, test } from "vitest";
import { startAzurite } from "./azurite.js";
import { startMySql } from "./mysql.js";
import { startRedis } from "./redis.js";

const folder = mkdtempSync(join(tmpdir(), "nonstop-services-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a private MySQL", () => {
  test("lets chat and root in over TCP, and keeps committed rows through kill -9", async () => {
    const data = join(folder, "mysql");
    const first = await startMySql({ data });
    const connection = await mysql.createConnection(first.url);
    await connection.query("CREATE TABLE word (text VARCHAR(20))");
    await connection.query("INSERT INTO word VALUES ('안녕 👋')");
    connection.on("error", () => {});
    process.kill(first.pid, "SIGKILL");
    await first.close();
    connection.destroy();
    // MySQL's note of it, whose number another process has by now.
    writeFileSync(join(data, "mysql.sock.lock"), `${process.pid}\n`);
    const second = await startMySql({ data });
    const asRoot = new URL(second.url);
    [asRoot.username, asRoot.password] = ["root", ""];
    const root = await mysql.createConnection(asRoot.href);
    expect((await root.query("SELECT text FROM chat.word"))[0]).toEqual([{ text: "안녕 👋" }]);
    await root.end();
    await second.close();
  });
});

describe("a private Redis", () => {
  test("answers, and refuses to write rather than to forget when it is full", async () => {
    const service = await startRedis({ data: join(folder, "redis") });
    const redis = new Redis(service.url);
    expect(await redis.set("key", "value")).toBe("OK");
    expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
    redis.disconnect();
    await service.close();
  });

  test("says why it cannot start", async () => {
    const holder = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    await expect(startRedis({ data: join(folder, "redis2"), port })).rejects.toThrow(
      "Address already in use",
    );
    await new Promise((resolve) => holder.close(resolve));
  });
});

describe("a private blob storage", () => {
  test("keeps its blobs for the next start", async () => {
    const data = join(folder, "storage");
    const first = await startAzurite({ data });
    const container = BlobServiceClient.fromConnectionString(first.url).getContainerClient("kept");
    await container.create();
    await container.getBlockBlobClient("blob").upload("bytes", 5);
    await first.close();
    const second = await startAzurite({ data });
    const again = BlobServiceClient.fromConnectionString(second.url).getContainerClient("kept");
    expect((await again.getBlockBlobClient("blob").downloadToBuffer()).toString()).toBe("bytes");
    await second.close();
  });
});
