/**
 * Looks whether the files that commits name are still there, or have rightly gone: replaced by compaction, taken by
 * retention. It lists folders and reads replacements; it opens no file.
 */
import { hourPrefix } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { objectGetsMax } from '../../schemas/limits.ts';
import { dateTime, periodLengthMs } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';
import { listReplacements, traceLineage } from '../../workers/clients/commits/replacement.ts';

/** A file that the archive should have and has not. */
export interface GoneFile {
  readonly key: string;
  readonly rows: number;
  /** When the last record of its commit was received, ms since 1970. */
  readonly ingestedMaxMs: number;
}

export interface FilesOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly of: Signal;
  /** Files of commits whose last record was received in [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The files that are gone, by key: those that commits of the range name, and those that took their place. Throws
 * OBJECT_STORE, CORRUPT_ARCHIVE and `ClickHouseError`.
 */
export async function findGone(options: FilesOptions): Promise<GoneFile[]> {
  const named = await namedFiles(options);
  const hours = [...new Set(named.map(({ hourMs }) => hourMs))];
  const gone = await mapParallel(hours, objectGetsMax, async (hourMs) => {
    const ofHour = named.filter((file) => file.hourMs === hourMs);
    return goneOfHour(options, hourMs, ofHour);
  });
  return gone.flat().toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

interface NamedFile extends GoneFile {
  readonly hourMs: number;
}

async function namedFiles({ clickhouse, of, ...range }: FilesOptions): Promise<NamedFile[]> {
  const rows = await clickhouse.query<Record<'key' | 'rows' | 'hour_ms' | 'max_ms', string>>(
    `SELECT key, rows, toUnixTimestamp(hour) * 1000 AS hour_ms,
       toUnixTimestamp64Milli(ingested_max_at) AS max_ms
     FROM ledger_files FINAL
     WHERE signal = {of:String}
       AND ingested_max_at >= toDateTime({from:String}, 'UTC')
       AND ingested_max_at < toDateTime({to:String}, 'UTC')`,
    { of, from: dateTime(range.fromMs), to: dateTime(range.toMs) },
  );
  return rows.map(({ key, rows: count, hour_ms: hourMs, max_ms: maxMs }) => ({
    key,
    rows: Number(count),
    hourMs: Number(hourMs),
    ingestedMaxMs: Number(maxMs),
  }));
}

/** Keys are listed before replacements are read: what is replaced meanwhile is known to be. */
async function goneOfHour(
  { store, of }: FilesOptions,
  hourMs: number,
  named: readonly NamedFile[],
): Promise<GoneFile[]> {
  const stored = new Set<string>();
  for await (const page of store.list(hourPrefix(of, hourMs))) {
    for (const { key } of page) stored.add(key);
  }
  if (named.every(({ key }) => stored.has(key))) return [];
  const until = hourMs + periodLengthMs.hour;
  const { replaced, outputs } = traceLineage(await listReplacements(store, of, hourMs, until));
  const gone: GoneFile[] = named.filter(({ key }) => !stored.has(key) && !replaced.has(key));
  const lost = outputs.filter(({ key }) => !stored.has(key));
  const ingestedMaxMs = Math.max(...named.map((file) => file.ingestedMaxMs));
  return [...gone, ...lost.map(({ key, rows }) => ({ key, rows, ingestedMaxMs }))];
}
