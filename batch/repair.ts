/**
 * The repair's conductor: compares a day's archive with the speed tables slice by slice → removes rows that
 * are there too often → inserts what is missing → makes the rollups right. Every step goes by what there is
 * at that moment, so a repair that was killed is finished by running it again, and one that is run twice
 * changes nothing more. It never removes the last row of an item.
 */
import type { Signal } from '../schemas/archive.ts';
import { SettingError } from '../schemas/errors.ts';
import { periodLengthMs, type Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import { listLiveFiles, type PeriodFile } from '../workers/clients/commits/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { overFiles } from './verify/damage.ts';
import { windowOf } from './drift.ts';
import { countSql, type Compared, type Part } from './repair/compare.ts';
import { removeSurplus } from './repair/remove.ts';
import { Missing, type Restore } from './repair/restore.ts';
import { mendRollup, rollupsOf } from './repair/rollup.ts';
import { signalRepairs } from './repair/signals.ts';
import type { SourceSettings } from './verify/source.ts';

const { day: dayMs, hour: hourMs } = periodLengthMs;

export interface RepairOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings & Pick<Settings, 'TIDEMARK_VERIFY_ROWS'>;
  readonly of: Signal;
  /** A day that is over. */
  readonly period: Period;
  /** Only this tenant's items; rollups are made right for all. */
  readonly tenantId?: string | undefined;
  /** Only says what it would do. */
  readonly isDryRun: boolean;
  /** Makes rows of archived items. */
  readonly restore: Restore;
  /** A name that no other repair has, by `repairName`. */
  readonly name: string;
  /** Current time, ms since 1970. */
  readonly nowMs: () => number;
  readonly onProgress?: (line: string) => void;
  /** Stops between two statements. */
  readonly signal?: AbortSignal;
}

export interface RepairReport {
  readonly signal: Signal;
  readonly period: Period;
  readonly isDryRun: boolean;
  /** Items of the archive, and rows of the speed tables before the repair. */
  readonly archived: number;
  readonly stored: number;
  /** Items that the speed tables lacked, and those of them that were inserted. */
  readonly missing: number;
  readonly inserted: number;
  /** Rows beyond what there should be, and those of them that were removed. */
  readonly surplus: number;
  readonly removed: number;
  /** Rollups that said something else than their tables; they are right now, unless it was a dry run. */
  readonly rollups: readonly string[];
  /** Rows that retention has taken from the archive's day: what is not there cannot be restored. */
  readonly rowsRemoved: number;
}

/**
 * Repairs one signal of a day. Throws `SettingError` for a period that is no day or not over, `ClickHouseError`,
 * OBJECT_STORE, CORRUPT_ARCHIVE, and BATCH_FAILED when rows of the day arrive faster than rollups are made.
 */
export async function repair(options: RepairOptions): Promise<RepairReport> {
  checkPeriod(options);
  return await new Repair(options).run();
}

function checkPeriod({ period, nowMs }: RepairOptions): void {
  if (period.kind !== 'day') {
    throw new SettingError('date', `Cannot repair ${period.name}: wanted a whole day`);
  }
  if (nowMs() < period.endMs) {
    throw new SettingError('date', `Cannot repair ${period.name}: that day is not over`);
  }
}

class Repair {
  readonly #options: RepairOptions;
  readonly #params: Readonly<Record<string, string>>;

  constructor(options: RepairOptions) {
    this.#options = options;
    this.#params = options.tenantId === undefined ? {} : { tenant: options.tenantId };
  }

  async run(): Promise<RepairReport> {
    const { store, of, period, isDryRun } = this.#options;
    const listed = await listLiveFiles(store, of, period.startMs, period.endMs);
    const files = listed.files.filter((file) => !file.quarantined);
    const compared = this.#compared(files);
    const parts = await this.#parts(compared, files);
    const counted = isDryRun ? await this.#count(compared, parts) : undefined;
    const mended = counted ?? (await this.#mend(compared, parts, files));
    if (mended.removed > 0) await this.#tellLedger(mended.removed);
    const rollups = await this.#rollups(parts.length === 1 ? dayMs : hourMs);
    const { rowsRemoved } = listed;
    return { signal: of, period, isDryRun, ...mended, rollups, rowsRemoved };
  }

  /** Else the books would miss what came twice. */
  async #tellLedger(removed: number): Promise<void> {
    const { clickhouse, of, period, nowMs } = this.#options;
    const repaired = { signal: of, day: period.name, repaired_at: new Date(nowMs()).toISOString() };
    await clickhouse.insertRows('ledger_repairs', [{ ...repaired, removed }]);
  }

  #compared(files: readonly PeriodFile[]): Compared {
    const { settings, of, period, tenantId } = this.#options;
    return {
      settings,
      repair: signalRepairs[of],
      window: windowOf(period),
      keys: files.map(({ key }) => key),
      isOneTenant: tenantId !== undefined,
    };
  }

  /** As many that no query groups more than TIDEMARK_VERIFY_ROWS rows of both layers. */
  async #parts({ repair: { drift }, window }: Compared, files: readonly PeriodFile[]) {
    const { clickhouse, settings } = this.#options;
    const counts = drift.speedTables.map(
      (table) =>
        `(SELECT count() FROM ${table} WHERE ${drift.speedTime} >= ${window.from}
          AND ${drift.speedTime} < ${window.to})`,
    );
    const [found] = await clickhouse.query<{ stored: string }>(
      `SELECT ${counts.join(' + ')} AS stored`,
    );
    const archived = files.reduce((sum, file) => sum + file.rows, 0);
    const rows = archived + Number(found?.stored ?? 0);
    const count = Math.max(1, Math.ceil(rows / settings.TIDEMARK_VERIFY_ROWS));
    return Array.from({ length: count }, (_, index): Part => ({ index, count }));
  }

  /** What there is to do, added up. */
  async #count(compared: Compared, parts: readonly Part[]) {
    const sum = noCounts();
    for (const part of parts) add(sum, await this.#countPart(compared, part));
    return { ...sum, inserted: 0, removed: 0 };
  }

  async #countPart(compared: Compared, part: Part): Promise<Counts> {
    const { clickhouse, signal, of } = this.#options;
    signal?.throwIfAborted();
    const { settings, keys } = compared;
    const read = { clickhouse, settings, keys, structure: compared.repair.structure };
    const sql = countSql(compared, part);
    const [row] = await overFiles(read, () =>
      clickhouse.query<Record<keyof Counts, string>>(sql, this.#params),
    );
    const number = (name: keyof Counts) => Number(row?.[name] ?? 0);
    const counts = {
      missing: number('missing'),
      surplus: number('surplus'),
      archived: number('archived'),
      stored: number('stored'),
    };
    this.#say(
      `${of}: slice ${part.index + 1} of ${part.count} compared: ` +
        `${counts.missing} missing, ${counts.surplus} too many`,
    );
    return counts;
  }

  async #mend(compared: Compared, parts: readonly Part[], files: readonly PeriodFile[]) {
    const { clickhouse, signal } = this.#options;
    const sum = noCounts();
    let inserted = 0;
    const missing = new Missing({
      ...this.#options,
      compared,
      files,
      params: this.#params,
      onProgress: (line: string) => this.#say(line),
    });
    try {
      for (const part of parts) {
        const counts = await this.#countPart(compared, part);
        add(sum, counts);
        if (counts.surplus > 0) {
          const { surplus } = counts;
          const onProgress = (line: string) => this.#say(line);
          const job = { clickhouse, compared, part, surplus, params: this.#params };
          await removeSurplus({ ...job, signal, onProgress });
        }
        if (counts.missing > 0) await missing.note(part);
      }
      inserted = await missing.restore();
    } finally {
      await missing.close();
    }
    return { ...sum, inserted, removed: sum.surplus };
  }

  async #rollups(stepMs: number): Promise<string[]> {
    const { clickhouse, of, period, isDryRun, name, signal } = this.#options;
    const { drift } = signalRepairs[of];
    const wrong: string[] = [];
    const rollups = await rollupsOf(clickhouse, drift.speedTables);
    for (const [index, rollup] of rollups.entries()) {
      const job = {
        clickhouse,
        rollup,
        period,
        time: drift.speedTime,
        stepMs,
        isDryRun,
        copy: `tidemark_repair_${name}_rollup${index}`,
        signal,
        onProgress: (line: string) => this.#say(line),
      };
      if (await mendRollup(job)) wrong.push(rollup.table);
    }
    return wrong;
  }

  #say(line: string): void {
    this.#options.onProgress?.(line);
  }
}

interface Counts {
  missing: number;
  surplus: number;
  archived: number;
  stored: number;
}

function noCounts(): Counts {
  return { missing: 0, surplus: 0, archived: 0, stored: 0 };
}

function add(sum: Counts, counts: Counts): void {
  for (const name of Object.keys(counts) as (keyof Counts)[]) sum[name] += counts[name];
}

/** The name of a repair that begins at a time, ms since 1970; `random` is of letters and digits. */
export function repairName(signal: Signal, nowMs: number, random: string): string {
  return `${signal}_${nowMs}_${random}`;
}

/**
 * Drops the tables that repairs which were killed have left, once they are older than `ageMs`: one that still
 * runs needs its own. Their names say when they began (`repairName`).
 */
export async function dropLeftovers(
  clickhouse: ClickHouse,
  { nowMs, ageMs }: { readonly nowMs: number; readonly ageMs: number },
): Promise<void> {
  const tables = await clickhouse.query<{ name: string }>(
    `SELECT name FROM system.tables
     WHERE database = currentDatabase() AND startsWith(name, 'tidemark_repair_')`,
  );
  for (const { name } of tables) {
    const begunMs = /^tidemark_repair_[a-z]+_(\d+)_/.exec(name)?.[1];
    if (begunMs === undefined || Number(begunMs) >= nowMs - ageMs) continue;
    await clickhouse.command(`DROP TABLE IF EXISTS ${name} SYNC`, {}, { idempotent: true });
  }
}
