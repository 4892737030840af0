import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { ContainerClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLog } from "../../local/functionsHost/log.js";
import { Lease } from "../../local/functionsHost/timerLease.js";
import { freePort } from "../../local/ports.js";
import {
  appFolder,
  builtHost,
  eventually,
  type Running,
  runAzurite,
  runHost,
  scratchFolder,
} from "./functionsApp/processes.js";

/** Timer triggers, by the real clock. */
describe("the Functions host, running timers", () => {
  interface Line {
    readonly pid: number;
    /** What the handler got, when a call began. */
    readonly begin?: {
      isPastDue: boolean;
      schedule: unknown;
      scheduleStatus: { last: string; next: string; lastUpdated: string } | null;
    };
    readonly end?: true;
    readonly retry?: { retryCount: number; maxRetryCount: number; exception?: { message: string } };
    readonly metadata?: unknown;
  }

  const everySecond = "* * * * * *";
  // Once a year, so that nothing but the test calls.
  const newYear = "0 0 0 1 1 *";
  const never = "0001-01-01T00:00:00+00:00";
  let scratch: ReturnType<typeof scratchFolder>;
  let main: string;
  let callLog: string;
  let healed: string;
  let next = 1;
  let azurite: Awaited<ReturnType<typeof runAzurite>>;
  const hosts: Running[] = [];

  beforeAll(async () => {
    scratch = scratchFolder();
    main = await builtHost();
    azurite = await runAzurite(scratch.path, await freePort());
  });
  afterAll(async () => {
    await azurite?.end();
    scratch.remove();
  });
  beforeEach(() => {
    callLog = join(scratch.path, `calls-${next}.log`);
    healed = join(scratch.path, `healed-${next++}`);
    writeFileSync(callLog, "");
  });
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.end("SIGKILL")));
  });

  /** Those whose leases are one; every test has an app of its own. */
  const hostId = () => `test-${next}`;

  function leaseBlob() {
    const container = new ContainerClient(azurite.connection, "azure-webjobs-hosts");
    const blob = container.getBlockBlobClient(`locks/${hostId()}/Host.Functions.tick.Listener`);
    return { container, blob, lease: blob.getBlobLeaseClient() };
  }

  function settings(): Record<string, string> {
    return {
      CALL_LOG: callLog,
      AzureWebJobsStorage: azurite.connection,
      AzureFunctionsWebHost__hostid: hostId(),
    };
  }

  async function host(env: Record<string, string>, ...args: string[]): Promise<Running> {
    const running = await runHost(main, { ...settings(), ...env }, "--app", appFolder, ...args);
    hosts.push(running);
    return running;
  }

  function lines(): Line[] {
    const whole = readFileSync(callLog, "utf8").split("\n").slice(0, -1);
    return whole.map((line) => JSON.parse(line));
  }

  function begun(): Line[] {
    return lines().filter((line) => line.begin);
  }

  function callByHand(running: Running, name = "tick", init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${running.ready.port}/admin/functions/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"input":""}',
      ...init,
    });
  }

  describe("a schedule", () => {
    test("of seconds calls again and again, and tells no status", async () => {
      await host({ TICK: everySecond });
      await eventually(() => begun().length >= 3);
      for (const { begin, metadata, retry } of begun()) {
        expect(begin).toEqual({ isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: null });
        expect([metadata, retry]).toEqual(["none", undefined]);
      }
    });

    test("can be a time, and in a setting", async () => {
      await host({ TICK: "%EVERY%", EVERY: "00:00:01" });
      await eventually(() => begun().length >= 2);
      expect(begun()[0]!.begin).toEqual({
        isPastDue: false,
        schedule: { adjustForDST: false },
        scheduleStatus: null,
      });
    });

    test("is in UTC, and a time zone is said not to count", async () => {
      const zone = { WEBSITE_TIME_ZONE: "Asia/Seoul", TZ: "Asia/Seoul" };
      const running = await host({ TICK: newYear, TICK_ON_STARTUP: "true", ...zone });
      const warning = "WEBSITE_TIME_ZONE is Asia/Seoul, but this host runs all timers in UTC";
      await eventually(() => running.log().includes(warning));
      await eventually(() => begun().length === 1);
      expect(begun()[0]!.begin!.scheduleStatus!.next).toMatch(/^\d{4}-01-01T00:00:00\+00:00$/);
    });

    test("without any occurrence is warned of", async () => {
      const running = await host({ TICK: "0 0 0 31 2 *" });
      await eventually(() => running.log().includes("tick has a schedule without any occurrence"));
      expect(await running.end()).toBe(0);
    });

    test.each([
      ["", /function "tick" needs a schedule/],
      ["%NO_SUCH%", /function "tick": "%NO_SUCH%" needs the setting NO_SUCH/],
      ["* * * *", /function "tick": the schedule "\* \* \* \*" has 4 fields: it must be \{second\}/],
      ["0 0 25 * * *", /the schedule "0 0 25 \* \* \*" has the hour 25, which is not between 0 and 23/],
      ["0 0 0 L * *", /the schedule "0 0 0 L \* \*" has the day "L", which is not understood/],
      ["00:00:00", /the schedule "00:00:00" must be a time of at least a millisecond/],
      ["00:75:00", /the schedule "00:75:00" has more than 23 hours, 59 minutes or 59 seconds/],
      ["every minute", /the schedule "every minute" has 2 fields/],
    ])("%j ends the start", async (schedule, message) => {
      await expect(host({ TICK: schedule })).rejects.toThrow(message);
    });
  });

  describe("a timer", () => {
    test("can run at the start, and then tells the status of the call before", async () => {
      const running = await host({ TICK: newYear, TICK_ON_STARTUP: "true" });
      await eventually(() => lines().some((line) => line.end));
      const first = begun()[0]!.begin!;
      expect(first).toEqual({
        isPastDue: false,
        schedule: { adjustForDST: true },
        scheduleStatus: { last: never, next: expect.stringMatching(/^\d{4}-01-01T/), lastUpdated: never },
      });
      // The status is there a moment after the call's end.
      await eventually(async () => {
        expect((await callByHand(running)).status).toBe(202);
        return begun().at(-1)!.begin!.scheduleStatus!.last !== never;
      });
      const { last, next, lastUpdated } = begun().at(-1)!.begin!.scheduleStatus!;
      expect(last).toMatch(/^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?\+00:00$/);
      expect([next, lastUpdated]).toEqual([first.scheduleStatus!.next, last]);
    });

    test("tells no status when it is not monitored", async () => {
      await host({ TICK: newYear, TICK_ON_STARTUP: "true", TICK_MONITOR: "false" });
      await eventually(() => begun().length === 1);
      expect(begun()[0]!.begin!.scheduleStatus).toBeNull();
    });

    test("is never called twice at once, and a slow one is due again at once", async () => {
      await host({ TICK: everySecond, TICK_MS: "1500" });
      await eventually(() => begun().length >= 4);
      expect(lines().map((line) => (line.begin ? "begin" : "end"))).toEqual(
        lines().map((_, index) => (index % 2 === 0 ? "begin" : "end")),
      );
    });

    test("that fails is called again when it is due", async () => {
      const running = await host({ TICK: everySecond, HEALED: healed });
      await eventually(() => begun().length >= 2);
      await eventually(() => /tick \w+ failed after .*poisoned/.test(running.log()));
      expect(lines().some((line) => line.end)).toBe(false);
      writeFileSync(healed, "");
      await eventually(() => lines().some((line) => line.end));
    });

    test("is retried as its policy says, and then goes on", async () => {
      const running = await host({ TICK: everySecond, HEALED: healed, RETRIES: "1" });
      await eventually(() => begun().length >= 4);
      const exception = expect.objectContaining({ message: "poisoned" });
      const attempts = [
        { retryCount: 0, maxRetryCount: 1 },
        { retryCount: 1, maxRetryCount: 1, exception },
      ];
      expect(
        begun()
          .slice(0, 4)
          .map(({ retry }) => retry),
      ).toMatchObject([...attempts, ...attempts]);
      expect(begun()[2]!.retry!.exception).toBeUndefined();
      await eventually(() => running.log().includes("tick gave up after its retries"));
    });
  });

  describe("a call by hand", () => {
    test("finds the function in any case", async () => {
      const running = await host({ TICK: newYear });
      expect((await callByHand(running, "TICK")).status).toBe(202);
      await eventually(() => lines().some((line) => line.end));
      expect(begun()).toHaveLength(1);
    });

    test("is retried, too", async () => {
      const running = await host({ TICK: newYear, HEALED: healed, RETRIES: "1" });
      await callByHand(running);
      await eventually(() => running.log().includes("tick gave up after its retries"));
      expect(begun().map(({ retry }) => retry!.retryCount)).toEqual([0, 1]);
    });

    test("is refused unless it is a POST of a JSON object for a timer", async () => {
      const running = await host({ TICK: newYear });
      const answers = [
        await callByHand(running, "nobody"),
        await callByHand(running, "echo"),
        await callByHand(running, "tick", { method: "PUT" }),
        await callByHand(running, "tick", { headers: { "content-type": "text/plain" } }),
        await callByHand(running, "tick", { body: "" }),
        await callByHand(running, "tick", { body: "{" }),
        await callByHand(running, "tick", { body: "null" }),
        await callByHand(running, "tick", { body: "[]" }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 415, 400, 400, 400, 400]);
      expect(await running.end()).toBe(0);
      expect(lines()).toEqual([]);
    });
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;

  test.runIf(outside)("takes no call by hand from elsewhere, whatever it listens on", async () => {
    const running = await host({ TICK: newYear }, "--host", "0.0.0.0");
    const { port } = running.ready;
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"input":""}' };
    const calls = [outside, "127.0.0.1"].map((address) =>
      fetch(`http://${address}:${port}/admin/functions/tick`, init),
    );
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([403, 202]);
    await eventually(() => lines().some((line) => line.end));
    expect(begun()).toHaveLength(1);
  });

  describe("closing", () => {
    test("waits for the call that is running and begins no other one", async () => {
      const running = await host({ TICK: everySecond, TICK_MS: "1500" });
      await eventually(() => begun().length === 1);
      expect(await running.end()).toBe(0);
      expect(lines().filter((line) => line.end)).toHaveLength(begun().length);
    });

    test("ends the retries", async () => {
      const running = await host({ TICK: everySecond, HEALED: healed, RETRIES: "-1" });
      await eventually(() => begun().length >= 2);
      expect(await running.end()).toBe(0);
      expect(running.log()).not.toContain("gave up");
    });

    /** Undefined where the host ended before it made the blob. */
    async function leaseState(): Promise<string | undefined> {
      const { blob } = leaseBlob();
      return (await blob.exists()) ? (await blob.getProperties()).leaseState : undefined;
    }

    // The host's own program exits in any case; without it, what is left open would keep the process alive.
    test("leaves no timer and no lease behind", async () => {
      const server = pathToFileURL(join(dirname(main), "server.js")).href;
      const script = `import { start } from ${JSON.stringify(server)};
        const host = await start({ app: ${JSON.stringify(appFolder)} });
        await host.close();
        console.log("closed");`;
      for (const env of [{ TICK: newYear }, { TICK: everySecond, TICK_ON_STARTUP: "true" }]) {
        const { stdout } = await promisify(execFile)(
          process.execPath,
          ["--input-type=module", "--eval", script],
          {
            env: { PATH: process.env["PATH"], ...settings(), ...env },
            timeout: 300_000,
            killSignal: "SIGKILL",
          },
        );
        expect(stdout).toContain("closed");
        expect(await leaseState()).not.toBe("leased");
      }
    });
  });

  describe("the lease of a timer", () => {
    // The least that the host takes, so that tests need not wait for minutes.
    const quick = {
      TICK: everySecond,
      AzureFunctionsJobHost__singleton__listenerLockPeriod: "00:00:15",
      AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval: "00:00:15",
    };
    const waiting = "tick waits: another host has its lease";
    const long = 90;
    const callers = (from: number) => [
      ...new Set(
        lines()
          .slice(from)
          .map(({ pid }) => pid),
      ),
    ];

    test("is had by one host of an app, and goes to another one when that is killed, or ends", async () => {
      const first = await host(quick, "--split");
      await eventually(() => begun().length >= 2);
      const [firstPid] = callers(0);
      const second = await host(quick);
      await eventually(() => second.log().includes(waiting));
      await eventually(() => begun().length >= 5);
      expect(callers(0)).toEqual([firstPid]);

      process.kill(firstPid!, "SIGKILL");
      expect(await first.ended()).toBe(1);
      const calls = lines().length;
      await eventually(() => lines().length > calls, long);
      expect(callers(calls)).toEqual([second.child.pid]);

      const third = await host(quick);
      await eventually(() => third.log().includes(waiting));
      expect(await second.end("SIGTERM")).toBe(0);
      const before = lines().length;
      await eventually(() => lines().length > before, long);
      expect(callers(before)).toEqual([third.child.pid]);
    });

    test("is free again some time after a holder elsewhere has died", async () => {
      const { container, blob, lease } = leaseBlob();
      await container.createIfNotExists();
      await blob.upload("", 0);
      await lease.acquireLease(15);
      const running = await host(quick);
      await eventually(() => running.log().includes(waiting));
      await eventually(() => begun().length >= 1, long);
    });

    test("is the end of calls when it is lost, until it is had again", async () => {
      const running = await host(quick);
      await eventually(() => begun().length >= 1);
      const { lease } = leaseBlob();
      await lease.breakLease(0);
      await lease.acquireLease(-1);
      await eventually(() => running.log().includes("tick has lost its lease"), long);
      await eventually(() => running.log().includes(waiting));
      const calls = begun().length;
      // Long enough for a schedule that still ran to show itself.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect(begun()).toHaveLength(calls);
      await lease.releaseLease();
      await eventually(() => begun().length > calls, long);
    });

    test("waits for storage that is away, which is said, and not in every second", async () => {
      const port = await freePort();
      const away = azurite.connection.replace(/:\d+\//, `:${port}/`);
      const running = await host({ ...quick, AzureWebJobsStorage: away });
      const said = () => running.log().split("tick waits for the storage of AzureWebJobsStorage").length - 1;
      await eventually(() => said() > 0);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect([said(), begun().length]).toEqual([1, 0]);
      const other = await runAzurite(scratch.path, port);
      await eventually(() => begun().length >= 1, long);
      await other.end();
      // Nor does it keep the host from ending.
      expect(await running.end()).toBe(0);
    });

    test("is given back by a host that is stopped in the moment that it gets it", async () => {
      const stop = new AbortController();
      const storage = new URL(/BlobEndpoint=([^;]+)/.exec(azurite.connection)![1]!);
      const between = createServer(({ url, method, headers }, response) => {
        const options = { host: storage.hostname, port: storage.port, path: url, method, headers };
        const onward = httpRequest(options, (answer) => {
          if (headers["x-ms-lease-action"] === "acquire") stop.abort();
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        });
        onward.end();
      }).listen(0, "127.0.0.1");
      await once(between, "listening");
      const { port } = between.address() as AddressInfo;
      const container = new ContainerClient(
        azurite.connection.replace(storage.port, `${port}`),
        "azure-webjobs-hosts",
      );
      const { blob } = leaseBlob();
      const minute = { period: 60_000, pollingInterval: 60_000 };
      const lease = new Lease(
        "tick",
        container,
        container.getBlockBlobClient(blob.name),
        minute,
        createLog("none"),
      );
      let held = 0;
      await lease.whileHeld(stop.signal, async () => void held++);
      expect([held, (await blob.getProperties()).leaseState]).toEqual([0, "available"]);
      between.close();
      between.closeAllConnections();
    });

    test("needs storage", async () => {
      const wanted = 'function "tick": the setting AzureWebJobsStorage must hold a connection string';
      await expect(host({ ...quick, AzureWebJobsStorage: "" })).rejects.toThrow(wanted);
    });
  });

  test("that is disabled is called by hand alone", async () => {
    const running = await host({ TICK: everySecond, "AzureWebJobs.tick.Disabled": "true" });
    expect(running.log()).toContain("Function 'Functions.tick' is disabled");
    // Time for a schedule that ran to show itself.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(lines()).toEqual([]);
    expect((await callByHand(running)).status).toBe(202);
    await eventually(() => lines().some((line) => line.end));
    expect(begun()).toHaveLength(1);
  });

  describe("timers and HTTP in two processes", () => {
    test("are what --split makes, and both end together", async () => {
      const running = await host({ TICK: everySecond }, "--split");
      await eventually(() => begun().length >= 2);
      const [pid, ...others] = new Set(lines().map((line) => line.pid));
      expect([pid === running.child.pid, others]).toEqual([false, []]);
      const { port } = running.ready;
      expect((await fetch(`http://127.0.0.1:${port}/api/nothing`)).status).toBe(204);
      expect(await running.end()).toBe(0);
      expect(() => process.kill(pid!, 0)).toThrow("ESRCH");
    });

    test("take calls by hand in the one and make them in the other", async () => {
      const running = await host({ TICK: newYear }, "--split");
      const names = ["tick", "TICK", "nobody", "echo"];
      const answers = await Promise.all(names.map((name) => callByHand(running, name)));
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 404, 404]);
      await eventually(() => lines().filter((line) => line.end).length === 2);
      expect(begun().some(({ pid }) => pid === running.child.pid)).toBe(false);
      expect(await running.end()).toBe(0);
    });

    test("are what --triggers chooses", async () => {
      const web = await host({ TICK: everySecond }, "--triggers", "http");
      const events = await host({ TICK: everySecond }, "--triggers", "events");
      await eventually(() => begun().length >= 3);
      expect(new Set(lines().map((line) => line.pid))).toEqual(new Set([events.child.pid]));
      expect([web.ready.port > 0, events.ready.port]).toEqual([true, 0]);
      expect((await callByHand(web)).status).toBe(404);
    });
  });
});
