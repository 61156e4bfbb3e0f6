/** Reads what is archived and published of the days that may still change. Decides nothing. */
import { currentRuns } from '../batch/runs.ts';
import { dayMs, daysToLookAt, startOfDay } from '../batch/schedule.ts';
import type { DayState } from '../batch/schedule.ts';
import { hourPrefix } from '../schemas/archive.ts';
import { listPeriodFiles } from '../workers/clients/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';

/**
 * The state of each ended day that has files, oldest first. Lists the months' folders first, so days
 * without files cost nothing. Throws what the store and ClickHouse throw.
 */
export async function readDays(
  store: ObjectStore,
  clickhouse: ClickHouse,
  nowMs: number,
): Promise<DayState[]> {
  const dates = await datesWithFiles(store, daysToLookAt(nowMs));
  const [first, last] = [dates[0], dates.at(-1)];
  if (first === undefined || last === undefined) return [];
  const runs = await currentRuns(clickhouse, first, last);
  const states: DayState[] = [];
  for (const date of dates) {
    const startMs = startOfDay(date);
    const period = await listPeriodFiles(store, 'traces', startMs, startMs + dayMs);
    const files = period.files.filter((file) => !file.quarantined).length;
    const { inputHash, watermarkMs } = period;
    states.push({ date, files, inputHash, watermarkMs, current: runs.get(date) });
  }
  return states;
}

async function datesWithFiles(store: ObjectStore, dates: readonly string[]): Promise<string[]> {
  const folders = new Map(dates.map((date) => [date, folderOf(date)]));
  const months = new Set([...folders.values()].map((folder) => folder.replace(/day=\d+\/$/, '')));
  const found = await Promise.all([...months].map((month) => store.listFolders(month)));
  const existing = new Set(found.flat());
  return dates.filter((date) => existing.has(folders.get(date) ?? ''));
}

/** The folder of a day's files, ending in a slash. */
function folderOf(date: string): string {
  return hourPrefix('traces', startOfDay(date)).replace(/hour=\d+\/$/, '');
}
