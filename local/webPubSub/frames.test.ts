import { describe, expect, test } from "vitest";
import { encodeFrame } from "./frames.js";

// The headers of RFC 6455 §5.7, and those at the edges of the three length forms.
describe("a server frame", () => {
  test("is the RFC's own example for Hello", () => {
    expect(encodeFrame(Buffer.from("Hello"), false).toString("hex")).toBe("810548656c6c6f");
  });

  test.each([
    [0, "8200"],
    [125, "827d"],
    [126, "827e007e"],
    [256, "827e0100"],
    [65_535, "827effff"],
    [65_536, "827f0000000000010000"],
  ])("of %i bytes starts with %s", (length, header) => {
    const payload = Buffer.alloc(length, 0x5a);
    const frame = encodeFrame(payload, true);
    expect(frame.subarray(0, header.length / 2).toString("hex")).toBe(header);
    expect(frame.subarray(header.length / 2).equals(payload)).toBe(true);
  });
});
