/**
 * Says in the archiver's log how far it is: every few seconds while it drains a backlog, else once a
 * minute, and never twice the same of nothing. Computes the lines; whoever calls decides when.
 */
import { backlogAgeMs, backlogReportMs, quietReportMs } from '../../schemas/limits/archive.ts';
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
}

export class Progress {
  readonly #options: ProgressOptions;
  #last: Sample;
  #wasBehind = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#last = this.#sample([]);
  }

  /** The line that is due now, if one is. */
  next(): ProgressLine | undefined {
    const logs = this.#options.vitals.logs;
    const sample = this.#sample(logs);
    const oldestMs = Math.max(0, ...logs.map((log) => lagMs(log, sample.ms)));
    const isBehind = logs.some((log) => overdueMs(log, sample.ms) > backlogAgeMs);
    const everyMs = isBehind ? backlogReportMs : quietReportMs;
    const hasChanged = isBehind !== this.#wasBehind;
    if (!hasChanged && sample.ms - this.#last.ms < everyMs) return undefined;
    const figures = figuresOf(this.#last, sample, oldestMs);
    const isNews = figures.requests > 0 || sample.lagRecords > 0 || hasChanged;
    [this.#last, this.#wasBehind] = [sample, isBehind];
    if (!isNews) return undefined;
    const worst = { furthestBehind: furthestBehind(logs, sample.ms) };
    if (isBehind && hasChanged) {
      const { lagRecords, lagSeconds } = figures;
      return { fields: { lagRecords, lagSeconds, ...worst }, message: 'Found a backlog' };
    }
    if (isBehind) return backlogLine({ ...figures, ...worst });
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

type Figures = ReturnType<typeof figuresOf> & { readonly furthestBehind: string };

/** With an estimate of when the backlog is archived, or what to do where there is none. */
function backlogLine({ caughtUpPerSecond, ...figures }: Figures): ProgressLine {
  if (figures.commits === 0) {
    const hint = 'warnings before this line, and /readyz, say what is tried again';
    return { fields: { ...figures, hint }, message: 'Behind, and nothing is being archived' };
  }
  if (caughtUpPerSecond <= 0) {
    const hint = 'if it lasts, add archivers: as many as a topic has partitions at most';
    return { fields: { ...figures, hint }, message: 'Behind, and not catching up yet' };
  }
  const etaSeconds = Math.ceil(figures.lagRecords / caughtUpPerSecond);
  return { fields: { ...figures, etaSeconds }, message: 'Draining a backlog' };
}

/** How long the oldest record waits beyond the time that it may wait for company, ms. */
function overdueMs(log: LogState, nowMs: number): number {
  return lagMs(log, nowMs) - log.flushAgeMs;
}

/** The partition whose oldest record has waited longest beyond that. */
function furthestBehind(logs: readonly LogState[], nowMs: number): string {
  const [worst] = logs.toSorted((a, b) => overdueMs(b, nowMs) - overdueMs(a, nowMs));
  return worst ? `${worst.topic}/${worst.partition}` : '';
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
