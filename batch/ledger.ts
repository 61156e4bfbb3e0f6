/**
 * The books' conductor: for a day and signal calls commits → spools → match → files → balance → store. What it
 * reads is counted in three places that do not know of each other: by the edge, by the archiver, and in
 * the speed tables. It mends nothing.
 */
import type { Signal } from '../schemas/archive.ts';
import { ledgerSettleMs } from '../schemas/limits/batch.ts';
import { periodLengthMs } from '../schemas/period.ts';
import type { Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import { readPartitions } from '../workers/clients/commits/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { leastWatermark } from '../workers/clients/commits/watermark.ts';
import { judge } from './ledger/balance.ts';
import type { LedgerMinute, Standing } from './ledger/balance.ts';
import { copyCommits } from './ledger/commits.ts';
import { findGone } from './ledger/files.ts';
import type { GoneFile } from './ledger/files.ts';
import { matchMinutes, readRepairs } from './ledger/match.ts';
import type { MinuteSums, Repaired } from './ledger/match.ts';
import { oldestNoteMs, storeSpooled } from './ledger/spools.ts';
import { storeMinutes } from './ledger/store.ts';

export interface LedgerOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Pick<Settings, 'TIDEMARK_PAST_MAX_MS' | 'TIDEMARK_FUTURE_MAX_MS'>;
  /** The signal whose books are made. */
  readonly of: Signal;
  /** The day of receipt. */
  readonly day: Period;
  /** Current time, ms since 1970. */
  readonly nowMs: number;
  /** A name that no other computation has. */
  readonly run: string;
  /** Told how many commits were read so far. */
  readonly onProgress?: (commits: number) => void;
  /** Stops between two queries. */
  readonly signal?: AbortSignal | undefined;
}

export interface SignalLedger {
  readonly of: Signal;
  /** Minutes that end later are open, ms since 1970. */
  readonly settledMs: number;
  /** In order of time and tenant. */
  readonly minutes: readonly LedgerMinute[];
  readonly goneFiles: readonly GoneFile[];
}

/**
 * Makes the books of one signal of a day and stores them. Throws OBJECT_STORE, CORRUPT_ARCHIVE and
 * `ClickHouseError`.
 */
export async function balanceDay(options: LedgerOptions): Promise<SignalLedger> {
  const { store, clickhouse, settings, of, day, nowMs, run } = options;
  // Before anything is counted, so that all they vouch for is among it.
  const settledMs = await settledUntil(options);
  const range = { fromMs: day.startMs - periodLengthMs.hour, toMs: day.endMs };
  await copyCommits({ ...options, fromMs: range.fromMs });
  await storeSpooled({ store, clickhouse, of, run, nowMs });
  const sums = await matchMinutes({
    ...options,
    startMs: day.startMs,
    endMs: day.endMs,
    pastMaxMs: settings.TIDEMARK_PAST_MAX_MS,
    futureMaxMs: settings.TIDEMARK_FUTURE_MAX_MS,
  });
  const goneFiles = await findGone({ ...options, fromMs: day.startMs, toMs: day.endMs });
  const standing = { settledMs, countedFromMs: countedFrom(sums) };
  const repaired = await readRepairs({ clickhouse, of, startMs: day.startMs });
  const judged = sums.map((minute) => judge(minute, standing));
  const minutes = withGone(withRepairs(judged, repaired), goneFiles);
  await storeMinutes(clickhouse, of, minutes, nowMs);
  return { of, settledMs, minutes, goneFiles };
}

/** A minute is settled when the archive vouches for it and no note of it is on its way any more. */
async function settledUntil({ store, of, nowMs }: LedgerOptions): Promise<Standing['settledMs']> {
  const noteMs = await oldestNoteMs(store);
  const watermarkMs = leastWatermark(await readPartitions(store, of));
  return Math.min(watermarkMs, nowMs, noteMs ?? nowMs) - ledgerSettleMs;
}

/** Behind the last record of the last commit that did not count. */
function countedFrom(sums: readonly MinuteSums[]): number {
  const last = sums.findLast(({ uncounted }) => uncounted > 0);
  return last === undefined ? 0 : last.minuteMs + 60_000;
}

/** Calls what is missing removed, as far as repairs have removed something; the earliest first. */
function withRepairs(
  minutes: readonly LedgerMinute[],
  { items, untilMs }: Repaired,
): LedgerMinute[] {
  let left = items;
  return minutes.map((minute) => {
    const { missing_in_speed: missing = 0, ...others } = minute.differences;
    const removed = minute.minuteMs < untilMs ? Math.min(left, missing) : 0;
    if (removed === 0) return minute;
    left -= removed;
    const rest = missing > removed ? { missing_in_speed: missing - removed } : {};
    return { ...minute, differences: { ...others, ...rest, removed_by_repair: removed } };
  });
}

/**
 * Adds the rows of files that are gone to the minutes in which their commits ended: which of a commit's tenants
 * and minutes they are of is not known without them.
 */
function withGone(minutes: readonly LedgerMinute[], gone: readonly GoneFile[]): LedgerMinute[] {
  const goneAt = new Map<LedgerMinute, number>();
  for (const { rows, ingestedMaxMs } of gone) {
    let nearest: LedgerMinute | undefined;
    const distance = ({ minuteMs }: LedgerMinute) => Math.abs(minuteMs + 30_000 - ingestedMaxMs);
    for (const minute of minutes) {
      if (minute.archived + minute.archivedOther + minute.uncounted === 0) continue;
      if (nearest === undefined || distance(minute) < distance(nearest)) nearest = minute;
    }
    if (nearest !== undefined) goneAt.set(nearest, (goneAt.get(nearest) ?? 0) + rows);
  }
  return minutes.map((minute) => {
    const rows = goneAt.get(minute);
    if (rows === undefined) return minute;
    return { ...minute, differences: { ...minute.differences, file_gone: rows } };
  });
}
