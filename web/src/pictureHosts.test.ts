import { expect, test } from "vitest";
import { isAllowed } from "./pictureHosts.js";

const HOSTS = ["pictures.example", "*.faces.example", "a.example:8443"];

test.each([
  ["https://pictures.example/a.png", true],
  ["https://PICTURES.example/a.png", true],
  ["https://eu.faces.example/a.png", true],
  ["https://a.example:8443/a.png", true],
  ["http://pictures.example/a.png", false],
  ["https://faces.example/a.png", false],
  ["https://evilfaces.example/a.png", false],
  ["https://pictures.example.evil.example/a.png", false],
  ["https://pictures.example@evil.example/a.png", false],
  ["https://pictures.example:8443/a.png", false],
  ["data:image/png;base64,AA", false],
  ["pictures.example/a.png", false],
  ["", false],
  [null, false],
])("%s may be loaded unasked: %s", (address, allowed) => expect(isAllowed(address, HOSTS)).toBe(allowed));
