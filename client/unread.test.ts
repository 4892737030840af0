import { describe, expect, test } from "vitest";
import { Unread } from "./unread.js";

/** As the service has just counted: of messages up to `upTo`, some of which don't count. */
function counted(count: number, upTo: number): Unread {
  const unread = new Unread();
  unread.set(count, upTo, 1);
  return unread;
}

describe("the count", () => {
  test("is the service's, and one more for each message that comes", () => {
    const unread = counted(2, 10);
    unread.add(11, 1);
    unread.add(13, 1);
    expect(unread.count).toBe(4);
  });

  test("is nothing when all is read, and stays so though the service doesn't know yet", () => {
    const unread = counted(2, 10);
    unread.add(11, 1);
    expect(unread.read(11)).toBe(true);
    expect(unread.count).toBe(0);
    unread.set(3, 11, 2);
    expect(unread.count).toBe(0);
    unread.set(4, 12, 3);
    expect(unread.count).toBe(1);
  });

  test("is uncertain when some of what the service has counted is read", () => {
    const unread = counted(4, 10);
    unread.add(11, 1);
    expect(unread.read(7)).toBe(false);
    expect(unread.count).toBe(4);
    expect(unread.read(8)).toBe(false);
    expect(unread.count).toBe(3);
    unread.set(2, 11, 2);
    expect(unread.count).toBe(2);
  });

  test("does not rise by a read that is late", () => {
    const unread = counted(1, 10);
    unread.read(10);
    expect(unread.read(8)).toBe(true);
    expect(unread.count).toBe(0);
  });

  test("keeps what came while the service was counting, and nothing twice", () => {
    const unread = counted(0, 10);
    unread.add(11, 1);
    unread.add(12, 2);
    unread.add(13, 2);
    // Its load was the second to begin, and saw up to the twelfth.
    unread.set(2, 12, 2);
    expect(unread.count).toBe(3);
  });

  test("forgets what was deleted: here at once, elsewhere when the service has counted", () => {
    const unread = counted(0, 10);
    unread.add(11, 1);
    unread.add(12, 1);
    unread.remove(11);
    expect(unread.count).toBe(1);
    // The last message it shows is the tenth: the others were deleted on another device.
    unread.set(0, 10, 2);
    expect(unread.count).toBe(0);
  });

  test("leaves out what was read before it came", () => {
    const unread = counted(0, 10);
    unread.read(12);
    unread.add(11, 1);
    expect(unread.count).toBe(0);
  });
});
