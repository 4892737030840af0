import type { RunResult } from "./loadGenerator.js";
import type { Counters } from "./observe.js";

/** Who had the load: members who take one frame a WebSocket message, those who take several, or another service. */
export type Side = "one" | "several" | "rabbitmq";

export interface Row extends RunResult {
  /** What ours publishes on. */
  readonly bus: string;
  readonly side: Side;
  /** The first load after a start, with code that no processor has seen. */
  readonly cold: boolean;
  readonly each: Counters;
  /** What the servers held at its end. */
  readonly memoryMb: number;
}

export const HEAD =
  "bus        frames   rate/s   sent  deliv/s  lost  rep  dis  err    p50ms    p99ms  growth | per message: upstream  redis   bus   sql  rest |  MB | cpu ms by process";

const pad = (value: number, width: number, digits = 0): string =>
  (Number.isNaN(value) ? "-" : value.toFixed(digits)).padStart(width);

export function rowText(row: Row): string {
  const cpu = Object.entries(row.each.cpu).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  return (
    row.bus.padEnd(11) +
    (row.cold ? `${row.side}*` : row.side).padEnd(8) +
    pad(row.rate, 7) +
    pad(row.sent, 7) +
    pad(row.deliveredPerSecond, 9) +
    pad(row.lost, 6) +
    pad(row.repeated, 5) +
    pad(row.disordered, 5) +
    pad(row.errors, 5) +
    pad(row.p50, 9, 1) +
    pad(row.p99, 9, 1) +
    pad(row.growth, 8, 2) +
    " |             " +
    pad(row.each.upstreamCalls, 9, 2) +
    pad(row.each.redisCalls, 7, 2) +
    pad(row.each.busSends, 6, 2) +
    pad(row.each.sqlStatements, 6, 2) +
    pad(row.each.restSends, 6, 2) +
    ` |${pad(row.memoryMb, 4)} | ${cpu.join(", ")}`
  );
}

/** Of each rate: what a message takes, as a ratio to what the other side takes for it. */
export function ratios(rows: readonly Row[]): readonly string[] {
  const kafka = rows.filter(({ bus }) => bus === "kafka");
  const beside = rows.filter(({ side }) => side !== "rabbitmq");
  return [
    ...kafka.flatMap((row) =>
      ratio(
        "kafka / eventhubs",
        row,
        rows.find((one) => one.bus === "eventhubs" && isLike(one, row)),
      ),
    ),
    ...beside.flatMap((row) =>
      ratio(
        `${row.bus} / rabbitmq`,
        row,
        rows.find((one) => one.side === "rabbitmq" && one.rate === row.rate && one.cold === row.cold),
      ),
    ),
  ];
}

const isLike = (one: Row, other: Row): boolean =>
  one.rate === other.rate && one.side === other.side && one.cold === other.cold;

function ratio(what: string, one: Row, other: Row | undefined): readonly string[] {
  if (!other) return [];
  const of = (pick: (row: Row) => number): string => (pick(one) / pick(other)).toFixed(2);
  const frames = one.side === "several" ? "several frames" : "one frame";
  return [
    `${what} at ${one.rate}/s, ${frames}: p50 ${of(({ p50 }) => p50)}, p99 ${of(({ p99 }) => p99)}, ` +
      `CPU ${of(serversMs)}`,
  ];
}

/** The load generator is no server. */
function serversMs({ each: { cpu } }: Row): number {
  return Object.entries(cpu).reduce((sum, [name, ms]) => (name === "bench" ? sum : sum + ms), 0);
}
