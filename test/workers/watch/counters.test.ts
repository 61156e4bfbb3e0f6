/** The archiver's metrics as Prometheus reads them. */
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Commit } from '../../../schemas/commit.ts';
import {
  archiveCounters,
  archiveGauges,
  countFlush,
  lagMs,
} from '../../../workers/watch/counters.ts';
import { Vitals } from '../../../workers/watch/vitals.ts';
import type { LogState } from '../../../workers/watch/vitals.ts';

const now = Date.UTC(2026, 10, 22, 13);
const done = { requests: 0, rows: 0, files: 0, commits: 0 };

function logOf(partition: number, more: Partial<LogState> = {}): LogState {
  return {
    topic: 'otlp_spans',
    partition: String(partition),
    nextOffset: 100n,
    lagRecords: 20,
    oldestMs: now - 3000,
    watermarkMs: now - 60_000,
    heldBytes: 4096,
    flushAgeMs: 60_000,
    done,
    ...more,
  };
}

/** Vitals of logs that run until `end` is called. */
function running(logs: readonly LogState[]) {
  const vitals = new Vitals(() => now);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const ended = logs.map((log) =>
    vitals.watch(
      () => log,
      () => promise,
    ),
  );
  return {
    vitals,
    end: async () => {
      resolve(undefined);
      await Promise.all(ended);
    },
  };
}

async function lines(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => !line.startsWith('#'));
}

it('countFlush() adds up what commits say', async () => {
  const registry = new Registry();
  const counters = archiveCounters(registry);
  const commit = {
    rows: 30,
    rejected: { span_id_zero: 2 },
    files: [{ bytes: 1000 }, { bytes: 500 }],
  } as unknown as Commit;
  countFlush(counters, 'logs', { commit, requests: 3, dead: 1, elapsedMs: 200 });
  countFlush(counters, 'logs', { commit, requests: 3, dead: 0, elapsedMs: 4000 });
  expect(await lines(registry)).toEqual(
    expect.arrayContaining([
      'tidemark_archiver_commits_total{signal="logs",outcome="stored"} 2',
      'tidemark_archiver_requests_total{signal="logs"} 6',
      'tidemark_archiver_rows_total{signal="logs"} 60',
      'tidemark_archiver_rejected_total{signal="logs",reason="span_id_zero"} 4',
      'tidemark_archiver_dead_letters_total{signal="logs"} 1',
      'tidemark_archiver_files_total{signal="logs"} 4',
      'tidemark_archiver_file_bytes_total{signal="logs"} 3000',
      'tidemark_archiver_flush_seconds_bucket{le="0.25",signal="logs"} 1',
      'tidemark_archiver_flush_seconds_sum{signal="logs"} 4.2',
      'tidemark_archiver_flush_seconds_count{signal="logs"} 2',
    ]),
  );
});

describe('archiveGauges()', () => {
  it('shows the partitions of this moment, and none that another archiver has taken', async () => {
    const registry = new Registry();
    const { vitals, end } = running([logOf(3)]);
    archiveGauges(registry, vitals, () => now);
    const of = '{topic="otlp_spans",partition="3"}';
    expect((await lines(registry)).filter(Boolean)).toEqual([
      `tidemark_archiver_lag_records${of} 20`,
      `tidemark_archiver_lag_seconds${of} 3`,
      `tidemark_archiver_flush_age_seconds${of} 60`,
      `tidemark_archiver_next_offset${of} 100`,
      `tidemark_archiver_watermark_seconds${of} ${(now - 60_000) / 1000}`,
      `tidemark_archiver_held_bytes${of} 4096`,
    ]);
    await end();
    expect((await lines(registry)).filter(Boolean)).toEqual([]);
  });

  it('adds up what is past the bound: labels never grow with the cluster', async () => {
    const registry = new Registry();
    const logs = [1, 2, 3, 4].map((partition) =>
      logOf(partition, { oldestMs: now - partition * 1000, watermarkMs: now - partition }),
    );
    archiveGauges(registry, running(logs).vitals, () => now, 2);
    const other = (await lines(registry)).filter((line) => line.includes('other'));
    const of = '{topic="other",partition="other"}';
    expect(other).toEqual([
      `tidemark_archiver_lag_records${of} 40`,
      `tidemark_archiver_lag_seconds${of} 4`,
      `tidemark_archiver_flush_age_seconds${of} 60`,
      `tidemark_archiver_watermark_seconds${of} ${(now - 4) / 1000}`,
      `tidemark_archiver_held_bytes${of} 8192`,
    ]);
  });

  it('says nothing of a log that is not known yet but how much waits', async () => {
    const registry = new Registry();
    const log = logOf(0, { nextOffset: undefined, watermarkMs: 0, oldestMs: undefined });
    archiveGauges(registry, running([log]).vitals, () => now);
    const names = (await lines(registry)).filter(Boolean).map((line) => line.split('{')[0]);
    expect(names).toEqual([
      'tidemark_archiver_lag_records',
      'tidemark_archiver_lag_seconds',
      'tidemark_archiver_flush_age_seconds',
      'tidemark_archiver_held_bytes',
    ]);
  });
});

describe('lagMs()', () => {
  it.each<[string, Partial<LogState>, number]>([
    ['nothing waits, however old the watermark', { lagRecords: 0, oldestMs: undefined }, 0],
    ['the oldest record that is held', {}, 3000],
    ['records that are not fetched yet: as old as the watermark', { oldestMs: undefined }, 60_000],
    ['nothing is known', { oldestMs: undefined, watermarkMs: 0 }, 0],
    ['a clock that is ahead of ours', { oldestMs: now + 5000 }, 0],
  ])('%s', (_, more, expected) => {
    expect(lagMs(logOf(0, more), now)).toBe(expected);
  });
});
