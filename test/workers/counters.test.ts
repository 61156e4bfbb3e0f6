/** The archiver's metrics as Prometheus reads them. */
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import type { Commit } from '../../schemas/commit.ts';
import { archiveCounters, countCommit } from '../../workers/counters.ts';

it('countCommit() adds up what commits say', async () => {
  const registry = new Registry();
  const counters = archiveCounters(registry);
  const commit = {
    rows: 30,
    rejected: { span_id_zero: 2 },
    files: [{ bytes: 1000 }, { bytes: 500 }],
  } as unknown as Commit;
  countCommit(counters, 'logs', commit, 3);
  countCommit(counters, 'logs', commit, 3);
  const lines = (await registry.metrics()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'tidemark_archive_commits_total{signal="logs"} 2',
      'tidemark_archive_requests_total{signal="logs"} 6',
      'tidemark_archive_rows_total{signal="logs"} 60',
      'tidemark_archive_rejected_total{signal="logs",reason="span_id_zero"} 4',
      'tidemark_archive_files_total{signal="logs"} 4',
      'tidemark_archive_file_bytes_total{signal="logs"} 3000',
    ]),
  );
});
