/**
 * Lists which requests' rows wait in the spool for ClickHouse, or lie aside because it refused them, and tells
 * ClickHouse, so that the ledger can name them. It reads names, and moves nothing.
 */
import { parseSpoolKey, speedDeadPrefix, speedSpoolPrefix } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { ledgerSpoolKeysMax } from '../../schemas/limits/batch.ts';
import { noteTable } from '../../schemas/note.ts';
import { dateTime } from '../../schemas/period.ts';
import { tablesOf } from '../../schemas/tables.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

export interface SpoolsOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly of: Signal;
  /** Names this computation in `ledger_spooled`. */
  readonly run: string;
  readonly nowMs: number;
}

/** Stores what waits and what lies aside under `run`. Throws OBJECT_STORE and `ClickHouseError`. */
export async function storeSpooled(options: SpoolsOptions): Promise<void> {
  const { store, clickhouse, of, run, nowMs } = options;
  const rows: Record<string, string>[] = [];
  const about = { run, signal: of, listed_at: dateTime(nowMs) };
  for (const table of tablesOf[of]) {
    for await (const token of tokens(store, speedSpoolPrefix(table))) {
      rows.push({ ...about, token, place: 'spool' });
    }
    for await (const token of tokens(store, speedDeadPrefix(table))) {
      rows.push({ ...about, token, place: 'dead' });
    }
  }
  await clickhouse.insertRows('ledger_spooled', rows, { idempotent: true });
}

/** When the oldest of the notes that wait in the spool was made, ms since 1970, if any waits. */
export async function oldestNoteMs(store: ObjectStore): Promise<number | undefined> {
  for await (const page of store.list(speedSpoolPrefix(noteTable))) {
    for (const { key } of page) {
      const receivedMs = parseSpoolKey(key)?.receivedMs;
      if (receivedMs !== undefined) return receivedMs;
    }
  }
  return undefined;
}

/** The tokens that stand in the names under a prefix, up to the bound. */
async function* tokens(
  store: ObjectStore,
  prefix: string,
): AsyncGenerator<string, void, undefined> {
  let count = 0;
  for await (const page of store.list(prefix)) {
    for (const { key } of page) {
      const token = parseSpoolKey(key)?.requestId;
      if (token !== undefined) yield token;
    }
    count += page.length;
    if (count >= ledgerSpoolKeysMax) return;
  }
}
