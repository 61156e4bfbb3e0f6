/**
 * The demo's conductor: stack → traffic → archive → batch → late spans → batch again, of all signals →
 * figures and proofs. Everything is real; only the shop is made up. Starts and stops a stack of its own.
 */
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { lookForDue } from '../batch/due.ts';
import { runBatch } from '../batch/run.ts';
import type { VerifyReport } from '../batch/verify.ts';
import { provePeriod } from '../bin/prove.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { parsePeriod } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import { openClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { openStore } from '../workers/clients/store/objects.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { awaitArchived } from './demo/archived.ts';
import { compareWithTruth } from './demo/compare.ts';
import type { Comparison } from './demo/compare.ts';
import * as figures from './demo/figures.ts';
import { Progress } from './demo/progress.ts';
import type { ProgressSink } from './demo/progress.ts';
import type { DemoResult } from './demo/result.ts';
import { compareSignals, readEnded, readLogs, readMetrics } from './demo/signals.ts';
import { freePorts } from './port.ts';
import { Traffic } from './traffic.ts';
import { up } from './up.ts';
import type { Stack } from './up.ts';

export interface DemoOptions {
  /** An empty directory for all data; the caller removes it. */
  readonly directory: string;
  readonly settings: Settings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Distinct spans to send, at least. */
  readonly spans: number;
  readonly seed: number;
  /** Whether the result says where the data is. */
  readonly keeps: boolean;
  /** Milliseconds since 1970. Which days are yesterday and today is decided once, at the start. */
  readonly now: () => number;
  readonly random: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
}

/** Requests are archived this long after they came. */
const flushAgeMs = 1000;
const pollMs = 200;

/**
 * Runs the whole demo. Throws what a step throws (PROGRAM_ENDED, SINK_FAILED, BATCH_FAILED …) after
 * the stack has been stopped; a proof that does not hold is a result with `ok: false`.
 */
export async function demo(options: DemoOptions): Promise<DemoResult> {
  const progress = new Progress(options.progress, options.monotonicMs);
  progress.begin('start edge, ClickHouse, object store and archiver');
  const stack = await startStack(options);
  const run = new Run(options, stack, progress);
  try {
    progress.end(`ready on ${stack.endpoint}`);
    return await Promise.race([run.steps(), failed(stack)]);
  } catch (error) {
    progress.fail();
    throw error;
  } finally {
    await run.close();
    await stack.stop();
  }
}

async function startStack(options: DemoOptions): Promise<Stack> {
  const [port = 0, clickhousePort = 0] = await freePorts(2);
  const log = path.join(options.directory, 'log', 'parts.log');
  return up({
    settings: {
      ...options.settings,
      TIDEMARK_DATA: options.directory,
      TIDEMARK_PORT: port,
      TIDEMARK_CLICKHOUSE_PORT: clickhousePort,
      TIDEMARK_FLUSH_AGE_MS: flushAgeMs,
      TIDEMARK_ARCHIVE_POLL_MS: pollMs,
    },
    environment: options.environment,
    monotonicMs: options.monotonicMs,
    onLine: (part, line) => appendFileSync(log, `${part}: ${line}\n`),
    schedulesBatch: false,
    signal: options.signal,
  });
}

async function failed(stack: Stack): Promise<never> {
  throw await stack.died;
}

class Run {
  readonly #options: DemoOptions;
  readonly #stack: Stack;
  readonly #progress: Progress;
  readonly #traffic: Traffic;
  readonly #store: ObjectStore;
  readonly #clickhouse: ClickHouse;

  constructor(options: DemoOptions, stack: Stack, progress: Progress) {
    this.#options = options;
    this.#stack = stack;
    this.#progress = progress;
    this.#store = openStore(stack.settings);
    this.#clickhouse = openClickHouse(stack.settings);
    this.#traffic = new Traffic({
      endpoint: stack.endpoint,
      seed: options.seed,
      nowMs: options.now(),
      spans: options.spans,
      signal: options.signal,
      onProgress: ({ spans, repeatedSpans }) => this.#showSent(spans, repeatedSpans),
    });
  }

  async steps(): Promise<DemoResult> {
    const { yesterday, today } = this.#traffic;
    await this.#sendPrompt();
    await this.#archived('archive to Parquet');
    await this.#batch(`batch for ${yesterday}, first run`, yesterday, 'traces');
    const lateSpans = await this.#sendLate();
    await this.#archived('archive the late spans');
    await this.#assertDirty(yesterday);
    await this.#batch(`batch for ${yesterday}, second run`, yesterday, 'traces');
    await this.#batch(`batch for the logs of ${yesterday}`, yesterday, 'logs');
    await this.#batch(`batch for the metrics of ${today} so far`, today, 'metrics');
    return this.#result(lateSpans);
  }

  async close(): Promise<void> {
    this.#store.close();
    await this.#clickhouse.close();
    await this.#traffic.close();
  }

  async #sendPrompt(): Promise<void> {
    const { yesterday, today } = this.#traffic;
    this.#progress.begin(`send traffic of ${yesterday} and ${today} with the OpenTelemetry SDK`);
    const counts = await this.#traffic.sendPrompt();
    const { spans, repeatedSpans, requests, repeatedRequests, logRecords, points } = counts;
    const rate = Math.round(((spans + repeatedSpans) * 1000) / this.#progress.stepMs);
    this.#progress.end(
      `${spans + repeatedSpans} spans in ${requests} requests, ${repeatedRequests} of them sent ` +
        `twice, ${rate} spans/s; ${logRecords} log records, ${points} data points`,
    );
  }

  async #sendLate(): Promise<number> {
    this.#progress.begin(`late spans of ${this.#traffic.yesterday} arrive`);
    const spans = await this.#traffic.sendLate();
    this.#progress.end(`${spans} spans`);
    return spans;
  }

  #showSent(spans: number, repeatedSpans: number): void {
    const total = this.#options.spans;
    const rate = Math.round(((spans + repeatedSpans) * 1000) / this.#progress.stepMs);
    this.#progress.update(`${spans} of ${total} spans, ${rate} spans/s`);
  }

  async #archived(title: string): Promise<void> {
    const { spans, repeatedSpans, logRecords, points } = this.#traffic.counts;
    const rows = { traces: spans + repeatedSpans, logs: logRecords, metrics: points };
    this.#progress.begin(title);
    const files = await awaitArchived({
      store: this.#store,
      // Metrics are of the time of sending, which may already be tomorrow.
      days: [this.#traffic.yesterday, this.#traffic.today, this.#traffic.tomorrow],
      rows,
      monotonicMs: this.#options.monotonicMs,
      onProgress: ({ objects }) => this.#progress.update(`${objects} requests wait`),
      signal: this.#options.signal,
    });
    const all = rows.traces + rows.logs + rows.metrics;
    this.#progress.end(`${all} rows in ${files} files, all committed`);
  }

  async #batch(title: string, date: string, of: Signal): Promise<void> {
    this.#progress.begin(title);
    const report = await runBatch({
      store: this.#store,
      clickhouse: this.#clickhouse,
      settings: this.#stack.settings,
      clock: this.#options.now,
      random: this.#options.random,
      log: { info: () => undefined, warn: (_fields, message) => this.#progress.update(message) },
      period: parsePeriod(date),
      of,
      // The SDK's metrics are of the time of sending, and that day has not ended.
      force: of === 'metrics',
      onProgress: ({ phase, shardsDone, shardCount }) => {
        this.#progress.update(`${phase}, ${shardsDone} of ${shardCount} shards`);
      },
      signal: this.#options.signal,
    });
    if (report.outcome !== 'published') throw unexpected(report.message);
    this.#progress.end(report.message);
  }

  async #signals(query: figures.Query): Promise<DemoResult['signals']> {
    const logs = await readLogs(query);
    const metrics = await readMetrics(query);
    const comparison = compareSignals(logs, await readEnded(query), this.#traffic.truth);
    return { logs, metrics, comparison };
  }

  /** The schedule has to see by itself that late data came. */
  async #assertDirty(date: string): Promise<void> {
    const due = await lookForDue({
      store: this.#store,
      clickhouse: this.#clickhouse,
      settings: this.#stack.settings,
      clock: this.#options.now,
    });
    const reason = due.find(
      ({ period, signal }) => period.name === date && signal === 'traces',
    )?.reason;
    if (reason === 'changed') return;
    throw unexpected(`the schedule did not see that ${date} is dirty`);
  }

  async #result(lateSpans: number): Promise<DemoResult> {
    const { yesterday, today, truth, counts } = this.#traffic;
    const query: figures.Query = (sql, params) => this.#clickhouse.query(sql, params);
    this.#progress.begin('recompute every figure from Parquet and compare');
    const merged = await figures.readMerged(query, [yesterday, today]);
    const runs = await figures.readRuns(query, yesterday);
    const current = runs.at(-1);
    if (!current) throw unexpected('no run is published');
    const dedup = await figures.readDedup(query, yesterday, current.run_id);
    const graph = await figures.readEdges(query, yesterday, current.run_id);
    const batchRows = merged.filter(({ date }) => date === yesterday);
    const generator = compareWithTruth(batchRows, dedup, truth.operations(yesterday));
    const clients = {
      settings: this.#stack.settings,
      store: this.#store,
      clickhouse: this.#clickhouse,
    };
    const { signal: until } = this.#options;
    const prove = async (date: string, signal: Signal) => {
      this.#progress.update(`${signal} of ${date}`);
      const proven = await provePeriod(clients, parsePeriod(date), signal, { signal: until });
      return comparisonOf(proven.report);
    };
    const archive = await prove(yesterday, 'traces');
    const logs = await prove(yesterday, 'logs');
    const metrics = await prove(today, 'metrics');
    const signals = await this.#signals(query);
    const proofs = [archive, logs, metrics, generator, signals.comparison];
    const isEqual = proofs.every(({ differences }) => differences.length === 0);
    this.#progress.end(isEqual ? 'equal' : 'NOT equal');
    return {
      ok: isEqual && batchRows.length > 0 && batchRows.every(({ layer }) => layer === 'batch'),
      days: [yesterday, today],
      seed: this.#options.seed,
      traffic: { ...counts, lateSpans },
      merged,
      graph,
      runs,
      corrected: {
        duplicateSpans: current.duplicate_spans,
        lateSpans: current.total_spans - (runs.at(-2)?.total_spans ?? 0),
        lateRows: current.late_spans,
        conflictSpans: current.conflict_spans,
        quantileErrors: await figures.readQuantileErrors(query, yesterday),
      },
      proof: { archive, logs, metrics, generator },
      signals,
      elapsedMs: Math.round(this.#progress.elapsedMs),
      ...(this.#options.keeps && { data: this.#options.directory }),
    };
  }
}

function comparisonOf({ rows, figures: count, differences }: VerifyReport): Comparison {
  return {
    rows,
    figures: count,
    differences: differences.map((difference) => {
      const { group, figure, published, recomputed } = difference;
      return `${group}, ${figure}: published ${published}, from Parquet ${recomputed}`;
    }),
  };
}

function unexpected(what: string): TidemarkError {
  return new TidemarkError('BATCH_FAILED', `Cannot finish the demo: ${what}`);
}
