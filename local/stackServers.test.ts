import { expect, test } from "vitest";
import { corsWithPage } from "./stackServers.js";

test.each([
  [undefined, "http://127.0.0.1:7070,http://localhost:7070"],
  [["*"], "*"],
  [["https://a.example.com", "*"], "*"],
  [["https://a.example.com"], "https://a.example.com,http://127.0.0.1:7070,http://localhost:7070"],
  [["http://localhost:7070"], "http://localhost:7070,http://127.0.0.1:7070"],
])("where %j may call the API, the page may", (origins, cors) => {
  expect(corsWithPage(origins, 7070)).toBe(cors);
});
