import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where these tests keep what they download and build; may be deleted at any time. */
export const CACHE = join(tmpdir(), "nonstop-chat-foreign");
