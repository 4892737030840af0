import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";
import type { Transaction } from "./transaction.js";

/** One partition of one hub, from its creation to its deletion. */
export interface Stream {
  readonly hub: string;
  readonly partitionId: string;
  /**
   * Tells a hub from an earlier one of the same name, and from one of another bus: their sequence numbers have
   * nothing to do with each other.
   */
  readonly hubId: string;
}

/**
 * The sequence numbers up to which (inclusive) a stream is stored and broadcast. Where nothing is, the number
 * is -1 or lower than the stream's first.
 */
export interface StreamPosition {
  readonly stored: number;
  readonly broadcast: number;
  /** When the bus took the event that was stored last, where that is known. */
  readonly storedOn?: Date;
  /** Messages up to this one were shown before the log went back, though their events may be read again. */
  readonly shownMessageId?: number;
  /** Who shows what is stored. Nobody else does for as long. */
  readonly broadcaster?: string;
}

interface PositionRow extends RowDataPacket {
  stored_sequence_number: number;
  broadcast_sequence_number: number;
  stored_on: Date | null;
  stored_on_number: number | null;
  shown_message_id: number | null;
  broadcast_by: string | null;
}

/** So long a lease holds, by the database's clock. A holder that died keeps the others waiting for no longer. */
export const BROADCAST_LEASE_MS = 2_000;
/** One that is to hold for longer was made by a clock that has been set back. Far more than a statement waits for a lock. */
const LEASE_AT_MOST_S = 60;

/** The end of a lease that begins, or is renewed, now. */
const LEASE_END = `UTC_TIMESTAMP(3) + INTERVAL ${BROADCAST_LEASE_MS * 1_000} MICROSECOND`;

const whole = (stream: Stream): unknown[] => [stream.hub, stream.partitionId, stream.hubId];

const POSITION = `SELECT stored_sequence_number, broadcast_sequence_number, stored_on, stored_on_number, shown_message_id,
        IF(broadcast_until > UTC_TIMESTAMP(3) AND broadcast_until < UTC_TIMESTAMP(3) + INTERVAL ${LEASE_AT_MOST_S} SECOND,
          broadcast_by, NULL) AS broadcast_by
       FROM stream_positions
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`;

/** The stream's current position, or nothing when it has none. */
export async function findPosition(db: Queryable, stream: Stream): Promise<StreamPosition | undefined> {
  const [rows] = await db.query<PositionRow[]>(POSITION, whole(stream));
  return positionOf(rows);
}

/**
 * The same, locked until the transaction ends, so that two instances store the stream one after the other.
 */
export async function lockPosition(tx: Queryable, stream: Stream): Promise<StreamPosition | undefined> {
  const [rows] = await tx.query<PositionRow[]>(`${POSITION} FOR UPDATE`, whole(stream));
  return positionOf(rows);
}

/** The stored positions of a hub's streams, by their partitions. A stream that has not begun has none. */
export async function listStored(
  db: Queryable,
  hub: string,
  hubId: string,
): Promise<ReadonlyMap<string, number>> {
  const [rows] = await db.query<(PositionRow & { partition_id: string })[]>(
    `SELECT partition_id, stored_sequence_number FROM stream_positions
      WHERE hub = ? AND hub_id = ?`,
    [hub, hubId],
  );
  return new Map(rows.map((row) => [row.partition_id, row.stored_sequence_number]));
}

const positionOf = ([row]: readonly PositionRow[]): StreamPosition | undefined =>
  row && {
    stored: row.stored_sequence_number,
    broadcast: row.broadcast_sequence_number,
    // An instance of an earlier version has moved the position alone.
    ...(row.stored_on && row.stored_on_number === row.stored_sequence_number && { storedOn: row.stored_on }),
    ...(row.shown_message_id !== null && { shownMessageId: row.shown_message_id }),
    ...(row.broadcast_by !== null && { broadcaster: row.broadcast_by }),
  };

/** Begins a stream just before its first event. Changes nothing if the stream has begun. */
export async function beginStream(db: Queryable, stream: Stream, beforeFirst: number): Promise<void> {
  await db.query(
    `INSERT IGNORE INTO stream_positions
      (hub, partition_id, hub_id, stored_sequence_number, broadcast_sequence_number) VALUES (?, ?, ?, ?, ?)`,
    [...whole(stream), beforeFirst, beforeFirst],
  );
}

/**
 * Moves both positions of a stream whose events aren't broadcast in its order. The caller holds the stream's lock.
 * `on` is when the bus took the event, where that is known.
 */
export function movePosition(
  tx: Transaction,
  stream: Stream,
  sequenceNumber: number,
  on: Date | undefined,
): void {
  tx.later(
    `UPDATE stream_positions SET stored_sequence_number = ?, broadcast_sequence_number = ?, stored_on = ?,
        stored_on_number = ?
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`,
    [sequenceNumber, sequenceNumber, on ?? null, sequenceNumber, ...whole(stream)],
  );
}

/**
 * Moves the stored position. The caller holds the stream's lock. `broadcaster`, where given, has the lease to show
 * the stream from now on.
 */
export function moveStored(
  tx: Transaction,
  stream: Stream,
  sequenceNumber: number,
  on: Date | undefined,
  broadcaster?: string,
): void {
  const lease = broadcaster === undefined ? "" : `, broadcast_by = ?, broadcast_until = ${LEASE_END}`;
  tx.later(
    `UPDATE stream_positions SET stored_sequence_number = ?, stored_on = ?, stored_on_number = ?${lease}
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`,
    [
      sequenceNumber,
      on ?? null,
      sequenceNumber,
      ...(broadcaster === undefined ? [] : [broadcaster]),
      ...whole(stream),
    ],
  );
}

/**
 * Moves the stored position back, and the broadcast position where it is behind that. What was not shown before it
 * is shown yet. Where all that is stored was shown, it is noted up to which message. The caller holds the stream's
 * lock.
 */
export async function moveBack(tx: Queryable, stream: Stream, sequenceNumber: number): Promise<void> {
  // An assignment sees what those before it have set, so the comparison of the positions comes first.
  await tx.query(
    `UPDATE stream_positions SET
        shown_message_id = IF(broadcast_sequence_number < stored_sequence_number, shown_message_id,
          (SELECT MAX(message_id) FROM messages)),
        broadcast_sequence_number = LEAST(broadcast_sequence_number, ?),
        stored_sequence_number = ?, stored_on = NULL, stored_on_number = NULL
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`,
    [sequenceNumber, sequenceNumber, ...whole(stream)],
  );
}

/**
 * Moves the broadcast position forward, never back, as the slower of two instances may come second; and no further
 * than what is stored, which may have gone back while it was shown. The lease of `broadcaster` ends, where it is given.
 */
export async function moveBroadcast(
  db: Queryable,
  stream: Stream,
  sequenceNumber: number,
  broadcaster?: string,
): Promise<void> {
  await db.query(
    `UPDATE stream_positions
        SET broadcast_sequence_number = LEAST(stored_sequence_number, GREATEST(broadcast_sequence_number, ?)),
            broadcast_until = IF(broadcast_by = ?, NULL, broadcast_until)
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`,
    [sequenceNumber, broadcaster ?? null, ...whole(stream)],
  );
}

/** Whether no other than `holder` has the lease. */
export const mayBroadcast = ({ broadcaster }: StreamPosition, holder: string): boolean =>
  (broadcaster ?? holder) === holder;

/**
 * Takes the lease to show what is stored of a stream, or renews it, where no other has it. Returns where the stream
 * stands, with who has the lease then; nothing where nothing of it is stored. It is a transaction's work: a single
 * statement that waits for a lock would reckon by the time before.
 */
export async function leaseBroadcast(
  tx: Queryable,
  stream: Stream,
  holder: string,
): Promise<StreamPosition | undefined> {
  const position = await lockPosition(tx, stream);
  if (!position || !mayBroadcast(position, holder)) return position;
  await tx.query(
    `UPDATE stream_positions SET broadcast_by = ?, broadcast_until = ${LEASE_END}
      WHERE hub = ? AND partition_id = ? AND hub_id = ?`,
    [holder, ...whole(stream)],
  );
  return { ...position, broadcaster: holder };
}

/** Ends the lease, where `holder` has it. */
export async function endBroadcast(db: Queryable, stream: Stream, holder: string): Promise<void> {
  await db.query(
    `UPDATE stream_positions SET broadcast_until = NULL
      WHERE hub = ? AND partition_id = ? AND hub_id = ? AND broadcast_by = ?`,
    [...whole(stream), holder],
  );
}
