import { describe } from "vitest";
import { corsCases } from "./functionsApp/corsCases.js";
import { eventHubCases } from "./functionsApp/eventHubCases.js";
import { httpCases } from "./functionsApp/httpCases.js";
import { startCases } from "./functionsApp/startCases.js";
import { timerCases } from "./functionsApp/timerCases.js";

// Each group runs the compiled host in processes of its own, because only one app fits into a process.
describe("the Functions host", () => {
  describe("starting", startCases);
  describe("serving HTTP", httpCases);
  describe("called by pages", corsCases);
  describe("reading Event Hubs", eventHubCases);
  describe("running timers", timerCases);
});
