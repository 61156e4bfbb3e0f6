/**
 * The conductor of compaction: finds hours that have many small files, has some of them merged into
 * large sorted ones, and replaces them. Any number of compactors may run, on any machines, and may
 * be killed at any time: an hour's files are replaced by one conditional write. Deletes nothing that
 * readers may still want; replaced files are the sweeper's.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { compactConflictsMax } from '../schemas/limits/archive.ts';
import type { Settings } from '../schemas/settings.ts';
import { listLiveFiles } from './clients/commits/archive.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import { chooseRuns, runsOf, type FileRun } from './compact/choose.ts';
import * as hours from './compact/hour.ts';
import type { HourState } from './compact/hour.ts';
import type { Rewriter } from './compact/rewriter.ts';
import { inputOf } from './compact/read.ts';
import type { PeriodFile } from './clients/commits/archive.ts';
import type { Log } from './context.ts';

const dayMs = 24 * hours.hourMsEach;

export type CompactSettings = Pick<
  Settings,
  | 'TIDEMARK_COMPACT_FILES_MIN'
  | 'TIDEMARK_COMPACT_FILE_BYTES'
  | 'TIDEMARK_COMPACT_MEMORY_BYTES'
  | 'TIDEMARK_COMPACT_AFTER_MS'
>;

export interface CompactOptions {
  readonly store: ObjectStore;
  readonly settings: CompactSettings;
  readonly rewriter: Pick<Rewriter, 'rewrite'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Sixteen random hexadecimal digits. */
  readonly randomName: () => string;
  readonly log: Log;
  /** Signals to look at. */
  readonly signals: readonly Signal[];
  /** Event hours in [fromMs, toMs), both starts of UTC hours. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Plan, and replace nothing. */
  readonly dryRun?: boolean;
  readonly codeVersion: string;
  readonly signal?: AbortSignal | undefined;
  /** Hears of each hour that was changed. */
  readonly onHour?: (report: HourReport) => void;
}

/** What was done to one hour, or would be. */
export interface HourReport {
  readonly signal: Signal;
  /** Start of the hour, such as `2026-11-22T13:00:00.000Z`. */
  readonly hour: string;
  readonly rows: number;
  /** Merged files, and those in their place; of a dry run the latter are not known. */
  readonly filesBefore: number;
  readonly filesAfter: number | undefined;
  readonly bytesBefore: number;
  readonly bytesAfter: number | undefined;
}

export interface CompactReport {
  readonly hours: readonly HourReport[];
  /** Hours that failed; the others were done all the same. */
  readonly failures: readonly HourFailure[];
}

export interface HourFailure {
  readonly signal: Signal;
  readonly hour: string;
  readonly error: TidemarkError;
}

/**
 * Compacts the closed hours of a time range until none is worth it any more, each as often as memory
 * makes it necessary. Throws OBJECT_STORE and CORRUPT_ARCHIVE when it cannot look, and THREAD_ENDED when
 * it was told to stop.
 */
export async function runCompaction(options: CompactOptions): Promise<CompactReport> {
  const report = { hours: [] as HourReport[], failures: [] as HourFailure[] };
  for (const signal of options.signals) {
    for (let from = options.fromMs; from < options.toMs; from = nextDay(from)) {
      const to = Math.min(options.toMs, nextDay(from));
      const period = await listLiveFiles(options.store, signal, from, to);
      const due = hours.hoursOf(signal, period).filter((state) => isDue(state, options));
      for (const state of shuffled(due, options)) await compactHour(state, options, report);
    }
  }
  return report;
}

function nextDay(ms: number): number {
  return (Math.floor(ms / dayMs) + 1) * dayMs;
}

function isDue(state: HourState, { settings, now }: CompactOptions): boolean {
  const closedMs = state.hourMs + hours.hourMsEach + settings.TIDEMARK_COMPACT_AFTER_MS;
  return closedMs <= now() && choose(state, settings).length > 0;
}

function choose({ files }: HourState, settings: CompactSettings): FileRun<PeriodFile>[] {
  return chooseRuns(runsOf(files), settings.TIDEMARK_COMPACT_FILES_MIN);
}

/** Several compactors that start together should not all begin with the same hour. */
function shuffled(states: readonly HourState[], { randomName }: CompactOptions): HourState[] {
  return states
    .map((state) => ({ state, rank: randomName() }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ state }) => state);
}

interface Report {
  readonly hours: HourReport[];
  readonly failures: HourFailure[];
}

/** Compacts an hour. One that fails does not keep the others from being done. */
async function compactHour(
  state: HourState,
  options: CompactOptions,
  report: Report,
): Promise<void> {
  const hour = new Date(state.hourMs).toISOString();
  const { signal } = state;
  try {
    const done = options.dryRun ? planned(state, options) : await mergeHour(state, options);
    if (done === undefined) return;
    report.hours.push(done);
    options.onHour?.(done);
  } catch (error) {
    if (!(error instanceof TidemarkError) || options.signal?.aborted === true) throw error;
    options.log.warn({ err: error, signal, hour }, 'Cannot compact an hour');
    report.failures.push({ signal, hour, error });
  }
}

function planned(state: HourState, { settings }: CompactOptions): HourReport {
  const files = choose(state, settings).flatMap((run) => run.files);
  return reportOf(state, files, undefined);
}

function bytesOf(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function reportOf(
  { signal, hourMs }: HourState,
  before: readonly PeriodFile[],
  after: readonly { readonly bytes: number }[] | undefined,
): HourReport {
  return {
    signal,
    hour: new Date(hourMs).toISOString(),
    rows: before.reduce((sum, { rows }) => sum + rows, 0),
    filesBefore: before.length,
    filesAfter: after?.length,
    bytesBefore: bytesOf(before),
    bytesAfter: after && bytesOf(after),
  };
}

/**
 * Merges an hour's files, step by step, until it is not worth it any more. `undefined` when others
 * were faster each time.
 */
async function mergeHour(
  first: HourState,
  options: CompactOptions,
): Promise<HourReport | undefined> {
  const { store, settings } = options;
  let state = first;
  let conflicts = 0;
  /** Files that nothing could be merged with: their columns are of another version. */
  const alone = new Set<string>();
  const replaced = new Map<string, PeriodFile>();
  for (;;) {
    const files = state.files.filter(({ key }) => !alone.has(key));
    const chosen = choose({ ...state, files }, settings);
    if (chosen.length === 0) break;
    const step = await mergeRuns(state, chosen, options);
    if (step === 'lost') {
      conflicts += 1;
      if (conflicts > compactConflictsMax) break;
      state = await hours.readHour(store, state.signal, state.hourMs);
    } else if (step === 'alone') {
      for (const { key } of chosen[0]?.files ?? []) alone.add(key);
    } else {
      for (const file of step.inputs) replaced.set(file.key, file);
      state = hours.stateAfter(state, step);
    }
  }
  if (replaced.size === 0) return undefined;
  return summary(first, state, replaced);
}

/** An output that was merged again counts neither before nor after. */
function summary(
  first: HourState,
  last: HourState,
  replaced: ReadonlyMap<string, PeriodFile>,
): HourReport {
  const known = new Set(first.files.map(({ key }) => key));
  const before = [...replaced.values()].filter(({ key }) => known.has(key));
  const after = last.files.filter(({ key }) => !known.has(key));
  return reportOf(first, before, after);
}

async function mergeRuns(
  state: HourState,
  chosen: readonly FileRun<PeriodFile>[],
  options: CompactOptions,
): Promise<hours.Exchange | 'lost' | 'alone'> {
  const { store, settings, rewriter, randomName } = options;
  const writer = randomName();
  const { taken, outputs, overtaken } = await rewriter.rewrite({
    signal: state.signal,
    hourMs: state.hourMs,
    quarantined: chosen[0]?.quarantined ?? false,
    runs: chosen.map(({ files }) => ({ files: files.map(inputOf) })),
    sequence: state.sequence + 1,
    attempt: writer,
    memoryBytes: settings.TIDEMARK_COMPACT_MEMORY_BYTES,
    fileBytes: settings.TIDEMARK_COMPACT_FILE_BYTES,
  });
  if (overtaken) return 'lost';
  if (taken.length < 2) {
    await store.delete(outputs.map(({ key }) => key));
    return 'alone';
  }
  const inputs = taken.flatMap((index) => chosen[index]?.files ?? []);
  const nowMs = options.now();
  const { codeVersion } = options;
  const exchange = { reason: 'compaction', inputs, outputs, writer, nowMs, codeVersion } as const;
  return (await hours.replaceFiles(store, state, exchange)) ? exchange : 'lost';
}
