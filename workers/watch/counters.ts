/**
 * The archiver's Prometheus metrics. Names are a contract with dashboards and alerts. Counters only
 * go up; what a partition's log is at is asked for when the metrics are read, so that partitions
 * which other archivers have taken over are not shown any more.
 */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Signal } from '../../schemas/archive.ts';
import type { Commit } from '../../schemas/commit.ts';
import { meteredPartitionsMax } from '../../schemas/limits/archive.ts';
import type { StageTimes } from '../flush/encode.ts';
import type { LogState, Vitals } from './vitals.ts';

export interface ArchiveCounters {
  /** `outcome`: stored, or conflict when another archiver committed first. */
  readonly commits: Counter<'signal' | 'outcome'>;
  readonly requests: Counter<'signal'>;
  readonly rows: Counter<'signal'>;
  readonly rejected: Counter<'signal' | 'reason'>;
  readonly dead: Counter<'signal'>;
  readonly files: Counter<'signal'>;
  readonly fileBytes: Counter<'signal'>;
  readonly flushSeconds: Histogram<'signal'>;
  /** `stage`: decode, sort or encode. */
  readonly stageSeconds: Counter<'signal' | 'stage'>;
  readonly missing: Counter<'signal'>;
  readonly errors: Counter<'signal' | 'code'>;
}

/** From 50 ms to 10 minutes: flushes wait for each other and for the store. */
const flushBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** Makes the archiver's counters in `registry`. Once per registry: names are unique there. */
export function archiveCounters(registry: Registry): ArchiveCounters {
  const registers = [registry];
  const countBy = <L extends string>(name: string, help: string, ...labels: L[]) =>
    new Counter({
      name: `tidemark_archiver_${name}_total`,
      help,
      labelNames: ['signal', ...labels] as const,
      registers,
    });
  return {
    commits: countBy('commits', 'Commits, by outcome: stored, or conflict', 'outcome'),
    requests: countBy('requests', 'Requests archived'),
    rows: countBy('rows', 'Rows archived'),
    rejected: countBy('rejected', 'Items refused, by reason', 'reason'),
    dead: countBy('dead_letters', 'Requests set aside because they cannot be decoded'),
    files: countBy('files', 'Parquet files committed'),
    fileBytes: countBy('file_bytes', 'Bytes of the Parquet files committed'),
    flushSeconds: new Histogram({
      name: 'tidemark_archiver_flush_seconds',
      help: 'Time of one flush, from its first record decoded to its commit',
      labelNames: ['signal'] as const,
      buckets: flushBuckets,
      registers,
    }),
    stageSeconds: countBy('stage_seconds', 'CPU seconds of flushes, by stage', 'stage'),
    missing: countBy('missing_offsets', 'Offsets that Kafka had no more when they were to be read'),
    errors: countBy('errors', 'Tries that failed, by error code', 'code'),
  };
}

/** A flush that is in the log. */
export interface Flush {
  readonly commit: Commit;
  /** Records that it took, and those of them that cannot be decoded. */
  readonly requests: number;
  readonly dead: number;
  readonly elapsedMs: number;
}

/** Counts a flush whose commit was stored. */
export function countFlush(counters: ArchiveCounters, signal: Signal, flush: Flush): void {
  const { commit, requests, dead, elapsedMs } = flush;
  const label = { signal };
  counters.commits.inc({ signal, outcome: 'stored' });
  counters.requests.inc(label, requests);
  counters.rows.inc(label, commit.rows);
  counters.files.inc(label, commit.files.length);
  const bytes = commit.files.reduce((sum, file) => sum + file.bytes, 0);
  counters.fileBytes.inc(label, bytes);
  counters.dead.inc(label, dead);
  counters.flushSeconds.observe(label, elapsedMs / 1000);
  for (const [reason, count] of Object.entries(commit.rejected)) {
    counters.rejected.inc({ signal, reason }, count);
  }
}

/** Counts where the time of a flush went, be it committed or not. */
export function countTimes(counters: ArchiveCounters, signal: Signal, times: StageTimes): void {
  const { decodeMs, sortMs, encodeMs } = times;
  for (const [stage, ms] of Object.entries({ decode: decodeMs, sort: sortMs, encode: encodeMs })) {
    counters.stageSeconds.inc({ signal, stage }, ms / 1000);
  }
}

/**
 * Makes gauges of what `vitals` says when they are read. `now` gives the time in ms since 1970. Past
 * `partitionsMax` partitions the rest are one, `other`: sums, and the worst of ages and times.
 */
export function archiveGauges(
  registry: Registry,
  vitals: Vitals,
  now: () => number,
  partitionsMax: number = meteredPartitionsMax,
): void {
  const gauge = (
    name: string,
    help: string,
    value: (log: LogState) => number | undefined,
    merge?: (values: number[]) => number,
  ): void => {
    void new Gauge({
      name: `tidemark_archiver_${name}`,
      help,
      labelNames: ['topic', 'partition'] as const,
      registers: [registry],
      collect() {
        this.reset();
        const logs = vitals.logs;
        for (const log of logs.slice(0, partitionsMax)) {
          const { topic, partition } = log;
          const own = value(log);
          if (own !== undefined) this.set({ topic, partition }, own);
        }
        const rest = logs.slice(partitionsMax).flatMap((log) => value(log) ?? []);
        const other = { topic: 'other', partition: 'other' };
        if (merge && rest.length > 0) this.set(other, merge(rest));
      },
    });
  };
  gauge('lag_records', 'Records not committed yet', (log) => log.lagRecords, total);
  gauge('lag_seconds', 'Age of the oldest of them', (log) => lagMs(log, now()) / 1000, most);
  gauge(
    'flush_age_seconds',
    'What lag and watermark may be behind because records wait for company',
    (log) => log.flushAgeMs / 1000,
    most,
  );
  gauge('next_offset', 'Offset of the next record to be committed', ({ nextOffset }) =>
    nextOffset === undefined ? undefined : Number(nextOffset),
  );
  gauge(
    'watermark_seconds',
    'Everything received before this time (Unix seconds) is committed',
    ({ watermarkMs }) => (watermarkMs === 0 ? undefined : watermarkMs / 1000),
    least,
  );
  gauge(
    'held_bytes',
    'OTLP bytes in memory that are not committed yet',
    (log) => log.heldBytes,
    total,
  );
}

function total(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}

/**
 * How long the oldest record that is not committed has waited, ms; 0 when none waits. Of records
 * that are not fetched yet the watermark says what they may be as old as.
 */
export function lagMs(log: LogState, nowMs: number): number {
  if (log.lagRecords === 0) return 0;
  const sinceMs = log.oldestMs ?? log.watermarkMs;
  return sinceMs === 0 ? 0 : Math.max(0, nowMs - sinceMs);
}
