import { describe, expect, test } from "vitest";
import { escapeHeader, unescapeHeader } from "./escaping.js";
import { StompError, type StompVersion } from "./frame.js";

describe("header text on the wire", () => {
  test.each<[StompVersion, string, string]>([
    ["1.0", "a:b\\c", "a:b\\c"],
    ["1.1", "a:b\\c", "a\\cb\\\\c"],
    ["1.1", "line\nnext", "line\\nnext"],
    ["1.2", "a:b\\c\r\n", "a\\cb\\\\c\\r\\n"],
    ["1.2", "\\n", "\\\\n"],
    ["1.2", "안녕: 하세요", "안녕\\c 하세요"],
    ["1.2", "", ""],
  ])("in %s %j is written %j, and read back", (version, text, wire) => {
    expect(escapeHeader(text, version)).toBe(wire);
    expect(unescapeHeader(wire, version)).toBe(text);
  });

  test.each<[StompVersion, string]>([
    ["1.0", "a\nb"],
    ["1.0", "a\rb"],
    ["1.0", "a\0b"],
    ["1.1", "a\rb"],
    ["1.1", "a\0b"],
    ["1.2", "a\0b"],
  ])("%s has no way to write %j, so it is refused", (version, text) => {
    expect(() => escapeHeader(text, version)).toThrow(StompError);
    expect(() => escapeHeader(text, version)).toThrow(`STOMP ${version} has no way to send`);
  });

  test.each<[StompVersion, string, string]>([
    ["1.1", "a\\tb", '"\\\\t" is no escape of STOMP 1.1'],
    ["1.1", "a\\rb", '"\\\\r" is no escape of STOMP 1.1'],
    ["1.2", "a\\tb", '"\\\\t" is no escape of STOMP 1.2'],
    ["1.2", "a\\", '"\\\\" is no escape of STOMP 1.2'],
    ["1.2", "a\\C", '"\\\\C" is no escape of STOMP 1.2'],
  ])("in %s the wire text %j is refused", (version, wire, reason) => {
    expect(() => unescapeHeader(wire, version)).toThrow(reason);
  });

  test("1.0 knows no escapes, so a backslash is a backslash", () => {
    expect(unescapeHeader("a\\tb\\n", "1.0")).toBe("a\\tb\\n");
  });
});
