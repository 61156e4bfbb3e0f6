/**
 * The archiver: moves what applications sent into Parquet files and commits it, for as long as it
 * is left to run. Each partition that it reads has a log of its own (`log.ts`), which takes turns
 * by itself: a fault of one holds up no other. This conductor starts the logs, spaces their turns,
 * and decides what happens after a fault.
 */
import { Registry } from 'prom-client';
import { archiveColumns, topics } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits.ts';
import { assertConditionalPut } from './clients/objects.ts';
import type { ObjectStore } from './clients/objects.ts';
import { SharedColumns } from './columns.ts';
import type { ArchiveContext, ArchiverSettings, Clock, Log } from './context.ts';
import { archiveCounters } from './counters.ts';
import { PartitionLog } from './log.ts';
import type { LogReport } from './log.ts';
import { SpoolSource } from './spool.ts';

export interface ArchiverOptions {
  readonly store: ObjectStore;
  readonly settings: ArchiverSettings;
  /** The compiled `aggregator-as/build/transcode.wasm`. */
  readonly transcoder: WebAssembly.Module;
  readonly clock: Clock;
  /** Random bytes, as `randomBytes` of node:crypto gives them. */
  readonly random: (byteCount: number) => Uint8Array;
  readonly log: Log;
  /** Ends the archiver: a flush whose commit is not yet being written is given up. */
  readonly signal: AbortSignal;
  /** Written into commits. */
  readonly codeVersion: string;
  /** What to archive. @default those that have columns */
  readonly signals?: readonly Signal[];
  /** Archive what waits now, whatever its age, then end. */
  readonly once?: boolean;
  /** Bound on the memory of the columns, in pages of 64 KiB. @default columnWriterPagesMax */
  readonly columnPagesMax?: number;
  /** Where the metrics go. */
  readonly registry?: Registry;
}

/** What an archiver did until it ended. */
export interface ArchiverReport extends Readonly<LogReport> {
  /** Rows by signal. */
  readonly rowsOf: Readonly<Record<Signal, number>>;
}

/** The signals that have columns. */
const archivedSignals = (Object.keys(topics) as Signal[]).filter(
  (signal) => archiveColumns[signal].length > 0,
);

/**
 * Runs until `signal` aborts, or with `once` until nothing waits any more. Faults that may pass are
 * logged, counted and tried again; with `once` no more than `requestTriesMax` times in a row, and
 * what no retry heals, such as CORRUPT_ARCHIVE, not at all: the other partitions are still
 * archived, then the first such fault is thrown. At the start throws UNSUPPORTED_STORE when the
 * store lets a second writer win, and OBJECT_STORE when it refuses us.
 */
export async function runArchiver(options: ArchiverOptions): Promise<ArchiverReport> {
  const archiver = new Archiver(options);
  try {
    return await archiver.run();
  } finally {
    archiver.close();
  }
}

class Archiver {
  readonly #options: ArchiverOptions;
  readonly #context: ArchiveContext;
  readonly #hardStop = new AbortController();
  /** Aborts with `options.signal`, and after a fault that ends the whole archiver. */
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  readonly #logs: PartitionLog[] = [];
  /** Faults that ended a log. */
  readonly #faults: unknown[] = [];

  constructor(options: ArchiverOptions) {
    this.#options = options;
    const pagesMax = options.columnPagesMax ?? limits.columnWriterPagesMax;
    this.#context = {
      ...options,
      counters: archiveCounters(options.registry ?? new Registry()),
      columns: new SharedColumns(options.transcoder, pagesMax),
      randomName: this.#randomName,
      signal: this.#stop.signal,
      hardStop: this.#hardStop.signal,
      once: options.once ?? false,
      writer: this.#randomName(),
    };
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal.aborted) this.#onAbort();
  }

  close(): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#ended.abort();
  }

  readonly #randomName = (): string => Buffer.from(this.#options.random(8)).toString('hex');

  readonly #onAbort = (): void => {
    this.#stop.abort();
    // `sleep` never rejects, so nothing of this chain is left to handle.
    void this.#options.clock
      .sleep(limits.archiverStopMsMax, this.#ended.signal)
      .then(() => this.#hardStop.abort());
  };

  async run(): Promise<ArchiverReport> {
    const { store, clock } = this.#options;
    await this.#retried(() => assertConditionalPut(store, this.#randomName()));
    const sources = (this.#options.signals ?? archivedSignals).map(
      (signal) => new SpoolSource(store, signal, () => clock.now()),
    );
    await Promise.all(
      sources.map((source) => this.#runLog(new PartitionLog(this.#context, source))),
    );
    if (this.#faults.length > 0) throw this.#faults[0];
    return this.#report();
  }

  /** Takes turns of one log until it has ended. Never throws: see `#faults`. */
  async #runLog(log: PartitionLog): Promise<void> {
    this.#logs.push(log);
    try {
      while (!this.#stop.signal.aborted) {
        const turn = await this.#retried(() => log.turn(), log.source.signal);
        if (turn?.outcome !== 'idle') continue;
        if (turn.empty && this.#context.once) return;
        await this.#pause(turn.changed);
      }
    } catch (error) {
      this.#faults.push(error);
      // A bug of ours is no fault of one partition.
      if (!(error instanceof TidemarkError)) this.#stop.abort();
    }
  }

  #pause(changed: AbortSignal | undefined): Promise<void> {
    const stop = this.#stop.signal;
    const { clock, settings } = this.#options;
    const until = changed ? AbortSignal.any([stop, changed]) : stop;
    return clock.sleep(settings.TIDEMARK_ARCHIVE_POLL_MS, until);
  }

  /** Does `task` until it succeeds, or `undefined` once the archiver was told to stop. */
  async #retried<T>(task: () => Promise<T>, signal?: Signal): Promise<T | undefined> {
    const { clock } = this.#options;
    for (let failures = 1; !this.#stop.signal.aborted; failures += 1) {
      try {
        return await task();
      } catch (error) {
        if (!this.#mayGoOn(error, failures, signal)) throw error;
        await clock.sleep(this.#backoffMs(failures), this.#stop.signal);
      }
    }
    return undefined;
  }

  #mayGoOn(error: unknown, failures: number, signal: Signal | undefined): boolean {
    const { once, log } = this.#options;
    if (!(error instanceof TidemarkError)) return false;
    if (this.#stop.signal.aborted) {
      log.info({ err: error }, 'Stopped in the middle of a flush; the next start takes it up');
      return true;
    }
    if (error.code === 'CAPACITY') return true;
    if (once && (!error.retryable || failures >= limits.requestTriesMax)) return false;
    // Before anything runs, what no retry heals is told at once. Later it is one partition's, and
    // may be mended while the others go on.
    if (!signal && !error.retryable) return false;
    this.#context.counters.errors.inc({ signal: signal ?? 'none', code: error.code });
    log.warn({ err: error, signal, failures }, 'Cannot archive now; will try again');
    return true;
  }

  #backoffMs(failures: number): number {
    const doubled = this.#options.settings.TIDEMARK_ARCHIVE_POLL_MS * 2 ** (failures - 1);
    return Math.min(doubled, limits.archiverBackoffMsMax);
  }

  #report(): ArchiverReport {
    const report = { commits: 0, requests: 0, rows: 0, files: 0 };
    const rowsOf = { traces: 0, metrics: 0, logs: 0 };
    for (const { source, report: own } of this.#logs) {
      report.commits += own.commits;
      report.requests += own.requests;
      report.rows += own.rows;
      report.files += own.files;
      rowsOf[source.signal] += own.rows;
    }
    return { ...report, rowsOf };
  }
}
