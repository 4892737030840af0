import { describe, expect, test } from "vitest";
import { StompError, type StompVersion } from "./frame.js";
import { parseFrames } from "./parser.js";
import { prepareMessage, serializeFrame } from "./serializer.js";

describe("serializeFrame", () => {
  test.each<[string, string, string]>([
    [
      "a frame without a body has no content-length",
      serializeFrame("RECEIPT", { "receipt-id": "7" }, "", "1.2"),
      "RECEIPT\nreceipt-id:7\n\n\0",
    ],
    [
      "content-length counts bytes",
      serializeFrame("MESSAGE", { destination: "/q" }, "안녕", "1.2"),
      "MESSAGE\ndestination:/q\ncontent-length:6\n\n안녕\0",
    ],
    [
      "a body may be bytes",
      serializeFrame("MESSAGE", {}, new Uint8Array([0x61, 0, 0xc3, 0xa9]), "1.2"),
      "MESSAGE\ncontent-length:4\n\na\0é\0",
    ],
    [
      "headers may be pairs",
      serializeFrame("ERROR", new Map([["message", "no: way"]]), "", "1.2"),
      "ERROR\nmessage:no\\c way\n\n\0",
    ],
    [
      "a content-length that is given is replaced by the true one",
      serializeFrame("MESSAGE", { "content-length": "99", a: "b" }, "x", "1.2"),
      "MESSAGE\na:b\ncontent-length:1\n\nx\0",
    ],
    ["no headers at all", serializeFrame("ERROR", {}, "", "1.0"), "ERROR\n\n\0"],
    [
      "CONNECTED is never escaped",
      serializeFrame("CONNECTED", { version: "1.2", server: "a\\b:c" }, "", "1.2"),
      "CONNECTED\nversion:1.2\nserver:a\\b:c\n\n\0",
    ],
    [
      "names are escaped too",
      serializeFrame("MESSAGE", { "a:b\nc": "d" }, "", "1.1"),
      "MESSAGE\na\\cb\\nc:d\n\n\0",
    ],
    ["1.0 knows no escapes", serializeFrame("MESSAGE", { a: "x:y\\" }, "", "1.0"), "MESSAGE\na:x:y\\\n\n\0"],
  ])("%s", (_, frame, expected) => {
    expect(frame).toBe(expected);
  });

  test.each<[string, Record<string, string>, StompVersion]>([
    ["CONNECTED", { "user-name": "eve\nsession:1" }, "1.2"],
    ["CONNECTED", { "user-name\nsession": "eve" }, "1.2"],
    ["CONNECTED", { "a:b": "c" }, "1.2"],
    ["MESSAGE", { a: "b\nc:d" }, "1.0"],
    ["MESSAGE", { a: "b\rc" }, "1.0"],
    ["MESSAGE", { a: "b\rc" }, "1.1"],
    ["MESSAGE", { a: "b\0" }, "1.2"],
    ["MESSAGE", { "": "b" }, "1.2"],
  ])(
    "%s refuses the headers %j in %s, which would be read as something else",
    (command, headers, version) => {
      expect(() => serializeFrame(command, headers, "", version)).toThrow(StompError);
    },
  );

  test.each<StompVersion>(["1.1", "1.2"])("a header can't be injected in %s", (version) => {
    const wire = serializeFrame("ERROR", { message: "x\nadmin:true\n\nbody" }, "", version);
    const [frame] = parseFrames(wire, version);
    expect([...frame!.headers]).toEqual([["message", "x\nadmin:true\n\nbody"]]);
  });

  test("a body of bytes that are not UTF-8 is refused", () => {
    expect(() => serializeFrame("MESSAGE", {}, new Uint8Array([0xff]), "1.2")).toThrow("not valid UTF-8");
  });
});

describe("prepareMessage", () => {
  const message = prepareMessage({ destination: "/sub/chat/room/1", "message-id": "1-7" }, "안녕");

  test("puts each receiver's subscription id into the same frame", () => {
    const rest = "destination:/sub/chat/room/1\nmessage-id:1-7\ncontent-length:6\n\n안녕\0";
    expect(message("sub-0")).toBe(`MESSAGE\nsubscription:sub-0\n${rest}`);
    expect(message("sub-1")).toBe(`MESSAGE\nsubscription:sub-1\n${rest}`);
  });

  test("takes the id as it goes on the wire", () => {
    const [frame] = parseFrames(message("a\\cb"), "1.2");
    expect(frame!.headers.get("subscription")).toBe("a:b");
  });

  test("ignores a subscription among the shared headers", () => {
    expect(prepareMessage({ subscription: "x", a: "b" }, "")("y")).toBe("MESSAGE\nsubscription:y\na:b\n\n\0");
  });

  test.each(["a:b", "a\\b", "a\nb", "a\rb", "a\0b"])(
    "refuses the shared header value %j, which versions write differently",
    (value) => {
      expect(() => prepareMessage({ value }, "")).toThrow(StompError);
    },
  );

  test.each(["a\nb:c", "a\rb", "a\0b"])("refuses the id %j, which would end the line", (id) => {
    expect(() => message(id)).toThrow("Not a header value in wire form");
  });
});
