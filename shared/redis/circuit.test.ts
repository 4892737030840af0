import { beforeEach, describe, expect, test } from "vitest";
import { Circuit } from "./circuit.js";

describe("a circuit", () => {
  let time: number;
  let circuit: Circuit;
  const away = new Error("away");

  beforeEach(() => {
    time = 0;
    circuit = new Circuit(() => time);
  });

  test("lets all calls through as long as none fails", () => {
    const attempts = [circuit.attempt(), circuit.attempt(), circuit.attempt()];
    expect(attempts.map((attempt) => attempt?.isProbe)).toEqual([false, false, false]);
    attempts[0]?.answered();
    expect(circuit.attempt()?.isProbe).toBe(false);
  });

  test("lets nobody through for half a second after a failure, and knows why", () => {
    circuit.attempt()?.failed(away);
    expect(circuit.attempt()).toBeUndefined();
    expect(circuit.why).toBe(away);
    time = 499;
    expect(circuit.attempt()).toBeUndefined();
  });

  test("lets one call at a time through after that, until it has failed or was answered", () => {
    circuit.attempt()?.failed(away);
    time = 500;
    const probe = circuit.attempt();
    expect(probe?.isProbe).toBe(true);
    time = 5_000;
    expect(circuit.attempt()).toBeUndefined();
    probe?.failed(new Error("still away"));
    time = 5_499;
    expect(circuit.attempt()).toBeUndefined();
    time = 5_500;
    const next = circuit.attempt();
    expect(next?.isProbe).toBe(true);
    next?.answered();
    expect([circuit.attempt()?.isProbe, circuit.attempt()?.isProbe]).toEqual([false, false]);
  });

  test("counts the half second from the last failure of many that were on their way", () => {
    const [first, second] = [circuit.attempt(), circuit.attempt()];
    first?.failed(away);
    time = 100;
    second?.failed(away);
    time = 599;
    expect(circuit.attempt()).toBeUndefined();
    time = 600;
    expect(circuit.attempt()?.isProbe).toBe(true);
  });

  test("is closed by any answer, as the server is there", () => {
    const [first, second] = [circuit.attempt(), circuit.attempt()];
    first?.failed(away);
    second?.answered();
    expect(circuit.attempt()?.isProbe).toBe(false);
  });
});
