import { describe, expect, test } from "vitest";
import { annotate, annotationsOf, DecodeError, dataBodies, sections } from "./amqpBytes.js";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const place = { sequenceNumber: 7, offset: 99, enqueuedTime: 1000, partitionKey: undefined };
const ours =
  "a315 782d6f70742d73657175656e63652d6e756d626572 81 0000000000000007" +
  "a30c 782d6f70742d6f6666736574 a102 3939" +
  "a313 782d6f70742d656e7175657565642d74696d65 83 00000000000003e8";

describe("annotate", () => {
  test("puts our annotations in front of a bare body", () => {
    const { bytes } = annotate(hex("00 53 75 a0 01 ff"), place);
    expect(bytes.toString("hex")).toBe(
      hex(`00 53 72 d1 00000054 00000006 ${ours} 00 53 75 a0 01 ff`).toString("hex"),
    );
  });

  test("keeps a header in front, the sender's annotations as they are, and drops what only we may say", () => {
    const header = "00 53 70 c0 02 01 41";
    const theirs = "a3 01 61 55 05";
    const forged = "a30c 782d6f70742d6f6666736574 a101 31";
    const sent = hex(`${header} 00 53 72 c1 17 04 ${theirs} ${forged} 00 53 75 a0 01 ff`);
    const { bytes, headerEnd } = annotate(sent, place);
    const expected = `${header} 00 53 72 d1 00000059 00000008 ${theirs} ${ours} 00 53 75 a0 01 ff`;
    expect(bytes.toString("hex")).toBe(hex(expected).toString("hex"));
    expect(headerEnd).toBe(7);
  });
});

describe("bytes that are no message", () => {
  test.each([
    ["no descriptor", "75 a0 01 ff"],
    ["a body that ends outside", "00 53 75 a0 05 ff"],
    ["a length that ends outside", "00 53 75 b0 00 00"],
    ["a length of 4 GiB", "00 53 75 b0 ff ff ff ff 00"],
    ["an unknown type", "00 53 75 30"],
    ["nothing behind the descriptor", "00 53 75"],
    ["a descriptor only", "00"],
    ["endless nesting", `00 53 77 ${"00 40".repeat(40)}`],
  ])("%s is an error", (_name, bytes) => {
    expect(() => sections(hex(bytes))).toThrow(DecodeError);
  });

  test("an annotation that ends outside its map is an error", () => {
    expect(() => annotationsOf(hex("00 53 72 c1 05 02 a1 02 61 62"))).toThrow(DecodeError);
  });

  test("a batch whose data holds no binary is an error", () => {
    expect(() => dataBodies(hex("00 53 75 a1 01 61"))).toThrow(DecodeError);
  });
});
