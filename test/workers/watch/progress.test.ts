/** The archiver's lines of progress: when one is due, and what it says. */
import { expect, it } from 'vitest';
import { backlogReportMs, quietReportMs } from '../../../schemas/limits/archive.ts';
import { Progress } from '../../../workers/watch/progress.ts';
import { Vitals } from '../../../workers/watch/vitals.ts';
import type { LogState } from '../../../workers/watch/vitals.ts';

/** One partition, and a clock; both are moved by the test. */
function scene() {
  const clock = { nowMs: Date.UTC(2026, 10, 22) };
  const log = { lagRecords: 0, ageMs: 0, requests: 0, rows: 0, commits: 0 };
  const vitals = new Vitals(() => clock.nowMs);
  const state = (): LogState => ({
    topic: 'otlp_spans',
    partition: '7',
    nextOffset: 0n,
    lagRecords: log.lagRecords,
    oldestMs: clock.nowMs - log.ageMs,
    watermarkMs: 1,
    heldBytes: 0,
    flushAgeMs: 1000,
    done: { requests: log.requests, rows: log.rows, files: 0, commits: log.commits },
  });
  void vitals.watch(state, () => new Promise(() => undefined));
  const progress = new Progress({ vitals, now: () => clock.nowMs });
  const after = (ms: number, more: Partial<typeof log>) => {
    clock.nowMs += ms;
    Object.assign(log, more);
    return progress.next();
  };
  return { after };
}

it('next() says nothing while nothing happens', () => {
  const { after } = scene();
  for (let minute = 0; minute < 10; minute += 1) expect(after(60_000, {})).toBeUndefined();
});

it('next() sums up once a minute while the archiver keeps up', () => {
  const { after } = scene();
  expect(after(1000, { requests: 5, rows: 50, lagRecords: 2, ageMs: 900 })).toBeUndefined();
  const line = after(quietReportMs - 1000, { requests: 60, rows: 600, lagRecords: 0 });
  expect(line).toMatchObject({
    message: 'Archived what came',
    fields: { requests: 60, rows: 600, rowsPerSecond: 10, requestsPerSecond: 1, lagRecords: 0 },
  });
  expect(after(quietReportMs, {})).toBeUndefined();
});

it('next() tells of a backlog every few seconds: rates, lag, and when it will be archived', () => {
  const { after } = scene();
  const hour = 3_600_000;
  const first = after(1000, { lagRecords: 10_000, ageMs: hour });
  expect(first).toEqual({
    message: 'Found a backlog',
    fields: { lagRecords: 10_000, lagSeconds: 3600, furthestBehind: 'otlp_spans/7' },
  });
  expect(after(backlogReportMs - 1, {})).toBeUndefined();
  const line = after(1, { requests: 2000, rows: 100_000, lagRecords: 9000, commits: 2 });
  expect(line).toEqual({
    message: 'Draining a backlog',
    fields: {
      requests: 2000,
      rows: 100_000,
      files: 0,
      commits: 2,
      rowsPerSecond: 10_000,
      requestsPerSecond: 200,
      lagRecords: 9000,
      lagSeconds: 3600,
      furthestBehind: 'otlp_spans/7',
      // 9,000 records at 100 a second, although 200 are archived: as many come in.
      etaSeconds: 90,
    },
  });
  const grows = after(backlogReportMs, { requests: 4000, lagRecords: 12_000, commits: 3 });
  expect(grows?.message).toBe('Behind, and not catching up yet');
  expect(grows?.fields['hint']).toContain('add archivers');
  const stands = after(backlogReportMs, {});
  expect(stands?.message).toBe('Behind, and nothing is being archived');
  expect(stands?.fields['hint']).toContain('/readyz');
});

it('next() says at once when the backlog is archived', () => {
  const { after } = scene();
  expect(after(1000, { lagRecords: 100, ageMs: 3_600_000 })).toBeDefined();
  const line = after(1000, { lagRecords: 0, requests: 100 });
  expect(line?.message).toBe('The backlog is archived');
});
