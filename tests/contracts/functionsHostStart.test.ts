import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtHost, runHost, scratchFolder } from "./functionsApp/processes.js";

/** What the host starts with, and what it refuses to start with. */
describe("the Functions host, starting", () => {
  let scratch: ReturnType<typeof scratchFolder>;
  let main: string;
  let apps = 0;

  beforeAll(async () => {
    scratch = scratchFolder();
    main = await builtHost();
  });
  afterAll(() => scratch.remove());

  /** Writes an app of these files into a folder of its own. */
  function appOf(files: Record<string, string>): string {
    const folder = join(scratch.path, `app-${apps++}`);
    mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  /** Runs the host to its end. */
  function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [main, ...args], (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  const manifest = '{"type":"module","main":"app.js"}';
  const hello =
    'import { app } from "@azure/functions"; app.http("hello", { handler: () => ({ body: "hello" }) });';

  function hubApp(options: string): Record<string, string> {
    const call = `app.eventHub("reader", { handler() {}, ${options} });`;
    return { "package.json": manifest, "app.js": `import { app } from "@azure/functions"; ${call}` };
  }

  describe("a host that cannot start says why, in a line, and ends with 1", () => {
    test.each<[string, Record<string, string>, RegExp]>([
      ["no package.json", {}, /has no package\.json: --app must name/],
      ["no main", { "package.json": "{}" }, /package\.json needs "main"/],
      [
        "a main that matches nothing",
        { "package.json": '{"main":"dist/*.js"}' },
        /matches no file: build the app first/,
      ],
      [
        "a broken host.json",
        { "package.json": manifest, "app.js": hello, "host.json": "{" },
        /host\.json cannot be read/,
      ],
      ["no function", { "package.json": manifest, "app.js": "" }, /no function was registered by .*app\.js/],
      [
        "a file that throws",
        { "package.json": manifest, "app.js": 'throw new Error("boo");' },
        /app\.js failed.*boo/,
      ],
      [
        "a syntax error",
        { "package.json": '{"main":"app.js"}', "app.js": "const = 1;" },
        /app\.js failed.*SyntaxError/,
      ],
      [
        "a name used twice",
        { "package.json": manifest, "app.js": `${hello}${hello.slice(hello.indexOf("app.http"))}` },
        /"hello" has already been registered/,
      ],
      [
        "a route not understood",
        { "package.json": manifest, "app.js": hello.replace("{ handler", '{ route: "a{b}", handler') },
        /route "api\/a\{b\}": "a\{b\}" is not understood/,
      ],
      [
        "a connection that is no setting",
        hubApp('connection: "NO_SUCH", eventHubName: "h"'),
        /"reader": the setting NO_SUCH must hold a connection string/,
      ],
      [
        "a hub that is no setting",
        hubApp('connection: "NO_SUCH", eventHubName: "%NO_HUB%"'),
        /"reader": "%NO_HUB%" needs the setting NO_HUB/,
      ],
    ])("%s", async (_, files, message) => {
      const { code, stdout, stderr } = await run("--port", "0", "--app", appOf(files));
      const lines = stderr.trimEnd().split("\n");
      expect([code, stdout, lines.length]).toEqual([1, "", 1]);
      expect(lines[0]).toMatch(message);
    });

    test("a port that is taken", async () => {
      const other = createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => other.once("listening", resolve));
      const { port } = other.address() as { port: number };
      const app = appOf({ "package.json": manifest, "app.js": hello });
      const { code, stderr } = await run("--port", `${port}`, "--app", app);
      other.close();
      expect(code).toBe(1);
      expect(stderr).toContain(
        `port ${port} on 127.0.0.1 is taken: stop what uses it, or choose another one`,
      );
    });
  });

  describe("the command line", () => {
    test.each([
      [["--colour"]],
      [["--port", "http"]],
      [["--port", "65536"]],
      [["stray"]],
      [["--triggers", "eventHubs"]],
      [["--split", "--triggers", "http"]],
    ])("%j is refused", async (args) => {
      const { code, stdout, stderr } = await run(...args);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain("--exit-with-stdin");
    });

    test("explains itself", async () => {
      const { code, stdout } = await run("--help");
      expect([code, stdout]).toEqual([0, expect.stringContaining("--settings FILE")]);
    });
  });

  describe("an app", () => {
    test("of many files is found by patterns, sorted, without what lies in node_modules or is not named", async () => {
      const file = (name: string) => hello.replace("hello", name);
      const app = appOf({
        "package.json": '{"type":"module","main":"src/{api,jobs}/**/*.js"}',
        "src/api/b.js": file("b"),
        "src/api/deep/er/a.js": file("a"),
        "src/jobs/c.js": file("c"),
        "src/jobs/c.txt": "not code",
        "src/jobs/node_modules/x/index.js": "throw new Error('not mine');",
        "src/other.js": "throw new Error('not named');",
      });
      const host = await runHost(main, {}, "--app", app);
      expect(host.ready.functions).toEqual(["a", "b", "c"]);
      expect(await host.end()).toBe(0);
    });

    test("can stream requests and answers", async () => {
      const app = appOf({
        "package.json": manifest,
        "app.js": `import { app } from "@azure/functions";
        app.setup({ enableHttpStream: true });
        app.http("upper", { route: "upper/{id}", methods: ["POST"], handler: (request) => ({
          status: 201,
          headers: { "x-params": JSON.stringify(request.params), "x-type": request.headers.get("content-type") },
          body: request.body.pipeThrough(new TransformStream({
            transform(chunk, controller) { controller.enqueue(Buffer.from(Buffer.from(chunk).toString().toUpperCase())); },
          })),
        }) });
        app.http("throws", { handler: () => { throw new Error("no"); } });`,
      });
      const host = await runHost(main, {}, "--app", app);
      const base = `http://127.0.0.1:${host.ready.port}/api`;
      const response = await fetch(`${base}/upper/7`, {
        method: "POST",
        headers: { "content-type": "text/x" },
        body: "hello",
      });
      expect([response.status, response.headers.get("x-params"), response.headers.get("x-type")]).toEqual([
        201,
        '{"id":"7"}',
        "text/x",
      ]);
      expect(await response.text()).toBe("HELLO");
      expect((await fetch(`${base}/throws`)).status).toBe(500);
      expect(await host.end()).toBe(0);
    });

    test("may print what it likes: standard output holds the ready line alone", async () => {
      const app = appOf({ "package.json": manifest, "app.js": `console.log("loading"); ${hello}` });
      const host = await runHost(main, {}, "--app", app);
      expect(host.ready.functions).toEqual(["hello"]);
      expect(host.log()).toContain("loading");
      expect(await host.end()).toBe(0);
    });

    test("hears of a trigger that this host does not run", async () => {
      const queue = 'app.storageQueue("jobs", { queueName: "jobs", connection: "NONE", handler() {} });';
      const host = await runHost(
        main,
        {},
        "--app",
        appOf({ "package.json": manifest, "app.js": `${hello}${queue}` }),
      );
      expect(host.log()).toContain('function "jobs" is never called: this host runs no queueTrigger');
      expect(await host.end()).toBe(0);
    });
  });
});
