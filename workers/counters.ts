/** The archiver's Prometheus metrics. Names are a contract with dashboards; values only go up. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Signal } from '../schemas/archive.ts';
import type { Commit } from '../schemas/commit.ts';

export interface ArchiveCounters {
  readonly commits: Counter<'signal'>;
  readonly requests: Counter<'signal'>;
  readonly rows: Counter<'signal'>;
  readonly rejected: Counter<'signal' | 'reason'>;
  readonly files: Counter<'signal'>;
  readonly fileBytes: Counter<'signal'>;
  readonly conflicts: Counter<'signal'>;
  readonly missing: Counter<'signal'>;
  readonly errors: Counter<'signal' | 'code'>;
  readonly watermark: Gauge<'topic' | 'partition'>;
}

/** Makes the archiver's metrics in `registry`. Once per registry: names are unique there. */
export function archiveCounters(registry: Registry): ArchiveCounters {
  const registers = [registry];
  const countBy = <L extends string>(name: string, help: string, ...labels: L[]) =>
    new Counter({
      name: `tidemark_archive_${name}_total`,
      help,
      labelNames: ['signal', ...labels] as const,
      registers,
    });
  return {
    commits: countBy('commits', 'Commits written'),
    requests: countBy('requests', 'Requests archived'),
    rows: countBy('rows', 'Rows archived'),
    rejected: countBy('rejected', 'Items refused, by reason', 'reason'),
    files: countBy('files', 'Parquet files committed'),
    fileBytes: countBy('file_bytes', 'Bytes of the Parquet files committed'),
    conflicts: countBy('conflicts', 'Flushes given up because another archiver committed first'),
    missing: countBy('missing_offsets', 'Offsets that Kafka had no more when they were to be read'),
    errors: countBy('errors', 'Turns that failed, by error code', 'code'),
    watermark: new Gauge({
      name: 'tidemark_archive_watermark_seconds',
      help: 'Everything received before this time (Unix seconds) is committed',
      labelNames: ['topic', 'partition'],
      registers,
    }),
  };
}

/** Counts a commit of `requests` records that is in the log. */
export function countCommit(
  counters: ArchiveCounters,
  signal: Signal,
  commit: Commit,
  requests: number,
): void {
  const label = { signal };
  counters.commits.inc(label);
  counters.requests.inc(label, requests);
  counters.rows.inc(label, commit.rows);
  counters.files.inc(label, commit.files.length);
  const bytes = commit.files.reduce((sum, file) => sum + file.bytes, 0);
  counters.fileBytes.inc(label, bytes);
  for (const [reason, count] of Object.entries(commit.rejected)) {
    counters.rejected.inc({ signal, reason }, count);
  }
}
