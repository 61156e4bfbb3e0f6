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
    spoolKeys: ['a', 'b', 'c'],
  } as unknown as Commit;
  countCommit(counters, commit);
  countCommit(counters, commit);
  const lines = (await registry.metrics()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'tidemark_archive_commits_total 2',
      'tidemark_archive_requests_total 6',
      'tidemark_archive_rows_total 60',
      'tidemark_archive_rejected_total{reason="span_id_zero"} 4',
      'tidemark_archive_files_total 4',
      'tidemark_archive_file_bytes_total 3000',
    ]),
  );
});
