import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { parseTarget, refusalOf } from "./requestTarget.js";

const request = (url: string, host?: string, rawHeaders: string[] = []) =>
  ({ method: "GET", url, rawHeaders, headers: host === undefined ? {} : { host } }) as IncomingMessage;

describe("a target", () => {
  test.each([
    ["/", "/", "/"],
    ["?a=1", "/", "/?a=1"],
    ["/a/b?x=/../%2e", "/a/b", "/a/b?x=/../%2e"],
    ["/rooms/../messages", "/messages", "/messages"],
    ["/x/./p", "/x/p", "/x/p"],
    ["/x/%2e%2E/p/.", "/p/", "/p/"],
    ["/../../p/..", "/", "/"],
    ["/..p/.p/p..", "/..p/.p/p..", "/..p/.p/p.."],
    ["//a//../b", "//a/b", "//a/b"],
    ["/%70", "/p", "/p"],
    ["/a%20b%7C", "/a b|", "/a%20b%7C"],
    ["/%ED%95%9c", "/한", "/%ED%95%9C"],
    ["/1%2f2", "/1%2f2", "/1%2f2"],
    ["/1%252F2", "/1%2F2", "/1%2F2"],
    ["/%zz/%25zz", "/%zz/%zz", "/%25zz/%25zz"],
    ["/%ff%41%ed%95/%c3%a9", "/%ffA%ed%95/é", "/%ffA%ed%95/%C3%A9"],
    ["http://h/a/../b?c", "/b", "/b?c"],
  ])("%s", (url, path, seen) => expect(parseTarget(request(url, "h"))).toEqual({ path, url: seen }));

  test.each([
    ["/a%00b", "h"],
    ["/\u00e9", "h"],
    ["a/b", "h"],
    ["*", "h"],
    ["/a", "a b"],
    ["http://x/a", "h"],
    ["http://x/a", undefined],
  ])("%j of host %j is none", (url, host) => expect(parseTarget(request(url, host))).toBeUndefined());

  test("one that comes again, between others of another host or path, is the same", () => {
    const targets = ["/a", "/a", "/b", "/a"].map((url) => parseTarget(request(url, "h"))?.path);
    expect(targets).toEqual(["/a", "/a", "/b", "/a"]);
    expect(parseTarget(request("/a", "a b"))).toBeUndefined();
    expect(parseTarget(request("http://h/a", "h"))?.path).toBe("/a");
    expect(parseTarget(request("http://h/a", "x"))).toBeUndefined();
    expect(parseTarget(request("/a", "h"))?.path).toBe("/a");
  });
});

describe("a request", () => {
  const headers = (count: number, value = "1") => Array.from({ length: count }, () => ["x-a", value]).flat();

  test.each([
    { what: "of usual size", url: "/", raw: headers(100), status: undefined },
    { what: "with a line of 8 KiB", url: `/${"a".repeat(8_192 - 16)}`, raw: [], status: undefined },
    { what: "with a longer line", url: `/${"a".repeat(8_192 - 15)}`, raw: [], status: 414 },
    { what: "with too many headers", url: "/", raw: headers(101), status: 431 },
    { what: "with headers of more than 32 KiB", url: "/", raw: headers(40, "a".repeat(1_000)), status: 431 },
    { what: "of two hosts", url: "/", raw: ["Host", "h", "host", "h"], status: 400 },
    { what: "with a Latin-1 byte", url: "/", raw: ["x-a", "\xe9"], status: 400 },
    { what: "with UTF-8", url: "/", raw: ["x-a", Buffer.from("é한").toString("latin1")], status: undefined },
  ])("$what is answered $status", ({ url, raw, status }) =>
    expect(refusalOf(request(url, "h", raw))).toBe(status),
  );
});
