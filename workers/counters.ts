/** The archiver's Prometheus metrics. Names are a contract with dashboards; values only go up. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Commit } from '../schemas/commit.ts';

export interface ArchiveCounters {
  readonly commits: Counter;
  readonly requests: Counter;
  readonly rows: Counter;
  readonly rejected: Counter<'reason'>;
  readonly files: Counter;
  readonly fileBytes: Counter;
  readonly conflicts: Counter;
  readonly errors: Counter<'code'>;
  readonly watermark: Gauge;
}

/** Makes the archiver's metrics in `registry`. Once per registry: names are unique there. */
export function archiveCounters(registry: Registry): ArchiveCounters {
  const registers = [registry];
  const count = (name: string, help: string) =>
    new Counter({ name: `tidemark_archive_${name}_total`, help, registers });
  const countBy = <L extends string>(name: string, label: L, help: string) =>
    new Counter({
      name: `tidemark_archive_${name}_total`,
      help,
      labelNames: [label],
      registers,
    });
  return {
    commits: count('commits', 'Commits written'),
    requests: count('requests', 'Requests archived'),
    rows: count('rows', 'Rows archived'),
    rejected: countBy('rejected', 'reason', 'Spans refused, by reason'),
    files: count('files', 'Parquet files committed'),
    fileBytes: count('file_bytes', 'Bytes of the Parquet files committed'),
    conflicts: count('conflicts', 'Flushes given up because another archiver committed first'),
    errors: countBy('errors', 'code', 'Turns that failed, by error code'),
    watermark: new Gauge({
      name: 'tidemark_archive_watermark_seconds',
      help: 'Everything received before this time (Unix seconds) is committed',
      registers,
    }),
  };
}

/** Counts a commit that is in the log. */
export function countCommit(counters: ArchiveCounters, commit: Commit): void {
  counters.commits.inc();
  counters.requests.inc(commit.spoolKeys.length);
  counters.rows.inc(commit.rows);
  counters.files.inc(commit.files.length);
  counters.fileBytes.inc(commit.files.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const [reason, count] of Object.entries(commit.rejected)) {
    counters.rejected.inc({ reason }, count);
  }
}
