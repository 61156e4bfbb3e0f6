/**
 * Says in the archiver's log how far it is: every few seconds while it drains a backlog, else once a
 * minute, and never twice the same of nothing. Computes the lines; whoever calls decides when.
 */
import { backlogAgeMs, backlogReportMs, quietReportMs } from '../schemas/limits/archive.ts';
import { lagMs } from './counters.ts';
import type { Done, LogState, Vitals } from './vitals.ts';

export interface ProgressLine {
  readonly fields: Readonly<Record<string, number | string>>;
  readonly message: string;
}

interface Sample extends Done {
  readonly ms: number;
  readonly lagRecords: number;
}

export interface ProgressOptions {
  readonly vitals: Vitals;
  /** Ms since 1970. */
  readonly now: () => number;
  /** After this time in memory a flush is due, ms. */
  readonly flushAgeMs: number;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #backlogMs: number;
  #last: Sample;
  #wasBehind = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#backlogMs = Math.max(backlogAgeMs, 3 * options.flushAgeMs);
    this.#last = this.#sample([]);
  }

  /** The line that is due now, if one is. */
  next(): ProgressLine | undefined {
    const logs = this.#options.vitals.logs;
    const sample = this.#sample(logs);
    const oldestMs = Math.max(0, ...logs.map((log) => lagMs(log, sample.ms)));
    const isBehind = oldestMs > this.#backlogMs;
    const everyMs = isBehind ? backlogReportMs : quietReportMs;
    const hasChanged = isBehind !== this.#wasBehind;
    if (!hasChanged && sample.ms - this.#last.ms < everyMs) return undefined;
    const figures = figuresOf(this.#last, sample, oldestMs);
    const isNews = figures.requests > 0 || sample.lagRecords > 0 || hasChanged;
    [this.#last, this.#wasBehind] = [sample, isBehind];
    if (!isNews) return undefined;
    if (isBehind) return backlogLine(figures, logs, sample.ms);
    return {
      fields: figures,
      message: hasChanged ? 'The backlog is archived' : 'Archived what came',
    };
  }

  #sample(logs: readonly LogState[]): Sample {
    const lagRecords = logs.reduce((sum, log) => sum + log.lagRecords, 0);
    return { ...this.#options.vitals.done, lagRecords, ms: this.#options.now() };
  }
}

function figuresOf(last: Sample, sample: Sample, oldestMs: number) {
  const seconds = Math.max(0.001, (sample.ms - last.ms) / 1000);
  return {
    requests: sample.requests - last.requests,
    rows: sample.rows - last.rows,
    files: sample.files - last.files,
    commits: sample.commits - last.commits,
    rowsPerSecond: Math.round((sample.rows - last.rows) / seconds),
    requestsPerSecond: rounded((sample.requests - last.requests) / seconds),
    lagRecords: sample.lagRecords,
    lagSeconds: Math.round(oldestMs / 1000),
    caughtUpPerSecond: rounded((last.lagRecords - sample.lagRecords) / seconds),
  };
}

/** With an estimate of when the backlog is archived, or the word that it grows. */
function backlogLine(
  { caughtUpPerSecond, ...figures }: ReturnType<typeof figuresOf>,
  logs: readonly LogState[],
  nowMs: number,
): ProgressLine {
  const oldest = logs.toSorted((a, b) => lagMs(b, nowMs) - lagMs(a, nowMs))[0];
  const worst = oldest ? { furthestBehind: `${oldest.topic}/${oldest.partition}` } : {};
  if (caughtUpPerSecond <= 0) {
    const hint =
      'add archivers, as many as there are partitions at most, or wait for the burst to end';
    const message =
      figures.requests > 0
        ? 'Behind, and not catching up yet'
        : 'Behind, and nothing was archived since the last line';
    return { fields: { ...figures, ...worst, hint }, message };
  }
  const etaSeconds = Math.ceil(figures.lagRecords / caughtUpPerSecond);
  return { fields: { ...figures, ...worst, etaSeconds }, message: 'Draining a backlog' };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
