import { expect, test } from "vitest";
import { acceptHandshake } from "../connections/handshake.js";
import { originOf } from "./origins.js";

test.each([
  ["https://chat.example.com", "https://chat.example.com"],
  ["HTTPS://Chat.Example.com:443/", "https://chat.example.com"],
  ["http://127.0.0.1:7070", "http://127.0.0.1:7070"],
  ["http://[::1]:80", "http://[::1]"],
  ["https://비.example", "https://xn--9w3b.example"],
  ["capacitor://localhost", "capacitor://localhost"],
  ["Capacitor://LocalHost/", "capacitor://localhost"],
  ["tauri://localhost:8080", "tauri://localhost:8080"],
  [
    "safari-web-extension://0A1B2C3D-0000-4000-8000-00000000000F",
    "safari-web-extension://0a1b2c3d-0000-4000-8000-00000000000f",
  ],
  ["file://", "file://"],
  ["file:///", "file://"],
  ["null", "null"],
  ["NULL", "null"],
])("%s is the origin %s", (text, origin) => {
  expect(originOf(text)).toBe(origin);
});

test.each([
  "",
  "*",
  "localhost",
  "localhost:3000",
  "https://",
  "https://*.example.com",
  "https://a b",
  "https://a/b",
  "https://a?b",
  "https://a#b",
  "https://me@a",
  "https://a\\\\b",
  "app://",
  "app:localhost",
  "app://a/b",
  "app://me@a",
  "1app://a",
  "about:blank",
  "data:text/html,x",
  "blob:https://a/1",
  "javascript://a",
  "ws://a",
])("%j is no origin", (text) => {
  expect(originOf(text)).toBeUndefined();
});

const accepts = (origin: string | undefined, ...allowedOrigins: string[]): boolean => {
  const identity = { userId: 1, expiresAt: 1 };
  const headers = origin === undefined ? {} : { origin: [origin] };
  const request = { identity, subprotocols: ["v12.stomp"], implicit: false, takeOver: false, headers };
  try {
    return acceptHandshake(request, { allowedOrigins, now: () => 0 }) !== undefined;
  } catch {
    return false;
  }
};

test("a page may connect if its origin is named, however its view writes it", () => {
  for (const origin of ["capacitor://localhost", "Capacitor://LOCALHOST", "https://a.example"])
    expect(accepts(origin, "capacitor://localhost", "https://a.example")).toBe(true);
  for (const origin of [
    "ionic://localhost",
    "capacitor://localhost.example",
    "http://a.example",
    "https://a.example:444",
  ])
    expect(accepts(origin, "capacitor://localhost", "https://a.example")).toBe(false);
});

test("a page with the origin null may connect if null is named, or nothing is", () => {
  expect(accepts("null", "capacitor://localhost", "app://.")).toBe(false);
  expect(accepts("null", "capacitor://localhost", "null")).toBe(true);
  expect(accepts("capacitor://localhost", "null")).toBe(false);
  expect(accepts("null")).toBe(true);
  // A client other than a browser sends no origin.
  expect(accepts(undefined, "app://.")).toBe(true);
});
