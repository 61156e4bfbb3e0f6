/**
 * The note: what the edge writes into its books about one request, in the table `ledger_received`. It is told
 * after the request was answered for, so that it says what became of it.
 */
import type { Signal } from './archive.ts';

/** The table of notes. */
export const noteTable = 'ledger_received';

/**
 * What became of a request.
 *
 * - `stored`: both legs have it.
 * - `doubtful`: so they have, and the archive may have it twice, because an answer of Kafka's was lost.
 * - `refused`: the client was told to send it again; either leg may have it all the same.
 * - `copy`: it was equal to the byte to another one of its group, which was stored in its place.
 * - `empty`: none of its items was valid, so nothing had to be stored.
 */
export type NoteState = 'stored' | 'doubtful' | 'refused' | 'copy' | 'empty';

export interface Note {
  /** When the request was received, ms since 1970. */
  readonly receivedMs: number;
  readonly tenantId: string;
  readonly signal: Signal;
  readonly requestId: string;
  /** When the first request of its record was received, ms since 1970: groups have one record. */
  readonly recordedMs: number;
  /** ClickHouse's deduplication token of its rows; empty when there are none. */
  readonly token: string;
  readonly state: NoteState;
  /** Valid items, quarantined ones included. */
  readonly accepted: number;
  readonly quarantined: number;
  /** Invalid items by reason. */
  readonly rejected: Readonly<Record<string, number>>;
}

/** The statement that carries notes in its body. */
export const noteStatement = `INSERT INTO ${noteTable} FORMAT JSONEachRow`;

/** A note as a line of `JSONEachRow`. */
export function noteLine(note: Note): string {
  return `${JSON.stringify({
    received_at: dateTimeMs(note.receivedMs),
    tenant_id: note.tenantId,
    signal: note.signal,
    request_id: note.requestId,
    recorded_at: dateTimeMs(note.recordedMs),
    token: note.token,
    state: note.state,
    accepted: note.accepted,
    quarantined: note.quarantined,
    rejected: note.rejected,
  })}\n`;
}

/** As ClickHouse reads a `DateTime64(3, 'UTC')` whatever its settings: `2026-11-22 12:00:00.000`. */
function dateTimeMs(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 23).replace('T', ' ');
}
