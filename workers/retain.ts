/**
 * The conductor of retention: finds rows of event days that are kept no longer, and takes their
 * files away by replacements: of files with rows of several tenants what stays is written anew.
 * Commits stay as they are, and say truthfully what there was. Any number may run, beside compactors,
 * and be killed at any time. Deletes nothing itself: that is the sweeper's, after its grace time.
 */
import { topics, type Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { compactConflictsMax } from '../schemas/limits/archive.ts';
import type { ReplacementOutput } from '../schemas/replacement.ts';
import { isKept, keptFromMs, tenantsKept, type Retention } from '../schemas/retention.ts';
import type { TenantFilter } from '../schemas/retention.ts';
import type { Settings } from '../schemas/settings.ts';
import { listLiveFiles, type PeriodFile } from './clients/commits/archive.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import { runsOf } from './compact/choose.ts';
import * as hours from './compact/hour.ts';
import type { HourState } from './compact/hour.ts';
import { inputOf } from './compact/read.ts';
import type { Rewriter } from './compact/rewriter.ts';
import type { Log } from './context.ts';
import { RemovedRows, type Removed } from './retain/removed.ts';

const dayMs = 24 * hours.hourMsEach;

export interface RetainOptions {
  readonly store: ObjectStore;
  readonly settings: Pick<
    Settings,
    'TIDEMARK_COMPACT_FILE_BYTES' | 'TIDEMARK_COMPACT_MEMORY_BYTES'
  >;
  readonly retention: Retention;
  readonly rewriter: Pick<Rewriter, 'rewrite' | 'tenants'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Sixteen random hexadecimal digits. */
  readonly randomName: () => string;
  readonly log: Log;
  /** Count what would go, and take nothing away. */
  readonly dryRun?: boolean;
  readonly codeVersion: string;
  readonly signal?: AbortSignal | undefined;
  /** Hears of each day that has been looked at. */
  readonly onDay?: (day: { readonly signal: Signal; readonly day: string }) => void;
}

/** The time that decides is one for the whole run. */
type Judging = RetainOptions & { readonly judgedAtMs: number };

export interface RetainReport {
  /** What went, or would go, by signal, day and tenant. */
  readonly removed: readonly Removed[];
  /** Hours that failed; the others were done all the same. */
  readonly failures: readonly {
    readonly signal: Signal;
    readonly hour: string;
    readonly error: TidemarkError;
  }[];
}

/**
 * Takes away what is kept no longer. Reads of a file no more than the column of tenants, and that only
 * where nothing else tells whose its rows are; a file is rewritten if some of its rows stay. Throws
 * OBJECT_STORE and CORRUPT_ARCHIVE when it cannot look, and THREAD_ENDED when it was told to stop.
 */
export async function runRetention(given: RetainOptions): Promise<RetainReport> {
  const options = { ...given, judgedAtMs: given.now() };
  const removed = new RemovedRows();
  const failures: { signal: Signal; hour: string; error: TidemarkError }[] = [];
  for (const signal of Object.keys(topics) as Signal[]) {
    for await (const state of oldHours(signal, options)) {
      try {
        removed.add(await retainHour(state, options));
      } catch (error) {
        if (!(error instanceof TidemarkError) || options.signal?.aborted === true) throw error;
        const hour = new Date(state.hourMs).toISOString();
        options.log.warn({ err: error, signal, hour }, 'Cannot keep the retention of an hour');
        failures.push({ signal, hour, error });
      }
    }
  }
  return { removed: removed.list(), failures };
}

/** Hours with files of days of which something may have to go, oldest first. */
async function* oldHours(signal: Signal, options: Judging): AsyncGenerator<HourState> {
  const { store, retention, judgedAtMs, onDay } = options;
  const endMs = keptFromMs(retention, signal, judgedAtMs);
  const firstMs = await hours.firstHour(store, signal);
  if (firstMs === undefined) return;
  for (let from = Math.floor(firstMs / dayMs) * dayMs; from < endMs; from += dayMs) {
    yield* hours.hoursOf(signal, await listLiveFiles(store, signal, from, from + dayMs));
    onDay?.({ signal, day: new Date(from).toISOString().slice(0, 10) });
  }
}

/** Rows of a file by tenant; under `undefined` where that is of no importance and was not read. */
type TenantRows = ReadonlyMap<string | undefined, number>;

interface Verdict {
  readonly file: PeriodFile;
  /** Rows that go. */
  readonly gone: TenantRows;
  readonly goneRows: number;
}

/** Takes away what has to go of an hour, and says what that was. */
async function retainHour(first: HourState, options: Judging): Promise<RemovedRows> {
  let state = first;
  for (let tries = 0; ; tries += 1) {
    const verdicts = await judgeHour(state, options);
    const removed = new RemovedRows();
    for (const { file, gone } of verdicts) removed.addFile(state, file, gone);
    if (verdicts.length === 0 || options.dryRun === true) return removed;
    if (await takeAway(state, verdicts, options)) return removed;
    if (tries === compactConflictsMax) {
      const message = 'Cannot keep the retention: others replaced files of the hour each time';
      throw new TidemarkError('CONFLICT', message, { retryable: true });
    }
    state = await hours.readHour(options.store, state.signal, state.hourMs);
  }
}

/** The files of which something has to go. */
async function judgeHour(
  { signal, hourMs, files }: HourState,
  options: Judging,
): Promise<Verdict[]> {
  const filter = tenantsKept(options.retention, signal, hourMs, options.judgedAtMs);
  const all = [filter.others, ...Object.values(filter.named)];
  if (all.every((stays) => stays)) return [];
  const isWhole = all.every((stays) => !stays);
  const verdicts: Verdict[] = [];
  for (const file of files) {
    const rows = await tenantRows(file, isWhole, filter, options);
    const gone = new Map(
      [...rows].filter(([tenant]) => tenant === undefined || !isKept(filter, tenant)),
    );
    const goneRows = [...gone.values()].reduce((sum, count) => sum + count, 0);
    if (goneRows > 0) verdicts.push({ file, gone, goneRows });
  }
  return verdicts;
}

async function tenantRows(
  file: PeriodFile,
  isWhole: boolean,
  filter: TenantFilter,
  { rewriter, dryRun }: RetainOptions,
): Promise<TenantRows> {
  const { tenants, rows } = file;
  if (tenants?.length === 1) return new Map([[tenants[0], rows]]);
  if (tenants?.every((tenant) => isKept(filter, tenant))) return new Map();
  if (isWhole && dryRun !== true) return new Map([[undefined, rows]]);
  return rewriter.tenants(inputOf(file));
}

/** Replaces the files by what stays of them. False when others have replaced files meanwhile. */
async function takeAway(
  state: HourState,
  verdicts: readonly Verdict[],
  options: Judging,
): Promise<boolean> {
  const { store, now, randomName, codeVersion } = options;
  const writer = randomName();
  const mixed = verdicts.filter(({ file, goneRows }) => goneRows < file.rows);
  const outputs: ReplacementOutput[] = [];
  const drop = () => store.delete(outputs.map(({ key }) => key));
  try {
    const files = mixed.map(({ file }) => file);
    if (!(await rewriteKept(state, files, { options, outputs, writer }))) {
      await drop();
      return false;
    }
  } catch (error) {
    await drop();
    throw error;
  }
  return hours.replaceFiles(store, state, {
    reason: 'retention',
    inputs: verdicts.map(({ file }) => file),
    outputs,
    writer,
    nowMs: now(),
    codeVersion,
  });
}

interface Rewriting {
  readonly options: Judging;
  readonly outputs: ReplacementOutput[];
  readonly writer: string;
}

/** Stores what stays of files and adds it to `outputs`. False when the number is taken by now. */
async function rewriteKept(
  state: HourState,
  files: readonly PeriodFile[],
  { options, outputs, writer }: Rewriting,
): Promise<boolean> {
  const { settings, rewriter, retention, judgedAtMs } = options;
  const { signal, hourMs, sequence } = state;
  let step = 0;
  for (const quarantined of [false, true]) {
    let runs = runsOf(files).filter((run) => run.quarantined === quarantined);
    while (runs.length > 0) {
      const result = await rewriter.rewrite({
        signal,
        hourMs,
        quarantined,
        runs: runs.map((run) => ({ files: run.files.map(inputOf) })),
        sequence: sequence + 1,
        attempt: `${writer}-${step}`,
        memoryBytes: settings.TIDEMARK_COMPACT_MEMORY_BYTES,
        fileBytes: settings.TIDEMARK_COMPACT_FILE_BYTES,
        filter: tenantsKept(retention, signal, hourMs, judgedAtMs),
      });
      if (result.overtaken) return false;
      outputs.push(...result.outputs);
      const taken = new Set(result.taken);
      runs = runs.filter((_, index) => !taken.has(index));
      step += 1;
    }
  }
  return true;
}
