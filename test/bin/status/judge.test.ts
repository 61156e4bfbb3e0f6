/** What the state of partitions and periods means, over a table of clusters as operators have them. */
import { describe, expect, it } from 'vitest';
import { alertsOf, judgePartitions, judgePeriod, judgeSignals } from '../../../bin/status/judge.ts';
import type { PartitionReport, Sources } from '../../../bin/status/judge.ts';
import type { Commit } from '../../../schemas/commit.ts';
import type { PartitionState } from '../../../workers/clients/commits/archive.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 22, 13);
const topic = 'otlp_spans';

/** A partition with offsets up to `next`, whose watermark is `behindMs` old, last written `seenMs` ago. */
function partition(
  name: string,
  { next = 100, behindMs = 2 * minute, seenAgoMs = minute, committed = true } = {},
): PartitionState {
  const head = {
    firstOffset: String(next - 10),
    rows: 40,
    committedAt: new Date(now - seenAgoMs).toISOString(),
    writer: 'w1',
  } as Commit;
  return {
    topic,
    partition: name,
    nextOffset: String(next),
    watermarkMs: now - behindMs,
    seenMs: now - seenAgoMs,
    head: committed ? head : undefined,
  };
}

function end(name: string, low: number, high: number) {
  return { topic, partition: name, lowOffset: BigInt(low), endOffset: BigInt(high) };
}

function spool(objects: number, oldestMs?: number) {
  return { topic, objects, bytes: objects * 10, oldestMs, more: false };
}

function sources(more: Partial<Sources>): Sources {
  const none = { partitions: [], unreadable: [], spools: [spool(0)], ends: undefined, nowMs: now };
  return { ...none, flushAgeMs: () => 0, ...more };
}

function judged(more: Partial<Sources>): Record<string, PartitionReport> {
  const all = judgePartitions(sources(more));
  return Object.fromEntries(all.map((one) => [one.partition, one]));
}

describe('judgePartitions()', () => {
  it('holds a signal back for a partition whose log is damaged, and knows no lag of it', () => {
    const unreadable = [{ topic, partition: '1', fault: 'Cannot read commit' }];
    const ends = [end('0', 0, 100), end('1', 0, 175)];
    const all = judged({ partitions: [partition('0')], unreadable, ends });
    expect(all['0']).toMatchObject({ condition: 'current', lagRecords: 0 });
    expect(all['1']).toMatchObject({ condition: 'unreadable', lagRecords: undefined });
    const [traces] = judgeSignals(Object.values(all), now);
    expect(traces).toMatchObject({ completeUpToMs: 0, heldBy: [{ partition: '1' }] });
  });

  it('counts what Kafka has more than the archive', () => {
    const all = judged({
      partitions: [partition('0'), partition('1'), partition('spool')],
      ends: [end('0', 0, 100), end('1', 0, 175)],
    });
    expect(all['0']).toMatchObject({ condition: 'current', lagRecords: 0, lagSeconds: 0 });
    expect(all['1']).toMatchObject({ lagRecords: 75, lagSeconds: 120, endOffset: '175' });
    expect(all['spool']).toMatchObject({ condition: 'current', lagRecords: 0 });
  });

  it('knows no lag without Kafka, but does of the spool', () => {
    const all = judged({
      partitions: [partition('0'), partition('spool')],
      spools: [spool(3, now - 90_000)],
    });
    expect(all['0']).toMatchObject({ lagRecords: undefined, lagSeconds: undefined });
    expect(all['spool']).toMatchObject({ lagRecords: 3, lagSeconds: 90 });
  });

  it('tells records that Kafka deleted before they were archived from those that wait', () => {
    const all = judged({ partitions: [partition('0')], ends: [end('0', 130, 150)] });
    expect(all['0']).toMatchObject({ lostRecords: 30, lagRecords: 20 });
  });

  it.each<[string, PartitionState, Partial<Sources>, string]>([
    ['an idle one whose watermark moves', partition('0', { committed: false }), {}, 'current'],
    ['a backlog being drained', partition('0', { behindMs: 3 * hour }), {}, 'behind'],
    [
      'one that no archiver reads',
      partition('0', { behindMs: hour, seenAgoMs: hour }),
      {},
      'stopped',
    ],
    ['one of a deleted topic', partition('0', { seenAgoMs: hour }), { ends: [] }, 'missing'],
    [
      'the same a week later',
      partition('0', { behindMs: 8 * day, seenAgoMs: 8 * day }),
      { ends: [] },
      'silent',
    ],
    [
      'one that was registered and not read yet',
      { ...partition('0', { committed: false }), watermarkMs: 0 },
      {},
      'unread',
    ],
  ])('%s: %#', (_, state, more, condition) => {
    const all = judged({ partitions: [state, partition('spool')], ...more });
    expect(all['0']?.condition).toBe(condition);
  });

  it('allows partitions the time that their records wait for company', () => {
    const waiting = partition('0', { behindMs: hour, seenAgoMs: hour });
    const at = (flushAgeMs: number) => {
      const all = judgePartitions(sources({ partitions: [waiting], flushAgeMs: () => flushAgeMs }));
      const [traces] = judgeSignals(all, now);
      return [all[0]?.condition, traces?.heldBy.length];
    };
    expect(at(hour)).toEqual(['current', 0]);
    expect(at(50 * minute)).toEqual(['stopped', 1]);
  });

  it('shows partitions that only Kafka knows, and a spool that nobody reads', () => {
    const all = judgePartitions(
      sources({ ends: [end('10', 5, 8), end('9', 0, 0)], spools: [spool(2, now - hour)] }),
    );
    expect(all.map((one) => [one.partition, one.condition, one.lagRecords])).toEqual([
      ['9', 'unread', 0],
      ['10', 'unread', 3],
      ['spool', 'unread', 2],
    ]);
  });
});

describe('judgeSignals()', () => {
  it('is complete up to the least watermark, and names who is further behind than usual', () => {
    const all = judgePartitions(
      sources({ partitions: [partition('0', { behindMs: hour }), partition('1')] }),
    );
    expect(judgeSignals(all, now)).toEqual([
      {
        signal: 'traces',
        completeUpToMs: now - hour,
        heldBy: [{ topic, partition: '0', condition: 'behind', watermarkMs: now - hour }],
      },
      { signal: 'metrics', completeUpToMs: 0, heldBy: [] },
      { signal: 'logs', completeUpToMs: 0, heldBy: [] },
    ]);
  });
});

describe('judgePeriod()', () => {
  const lateness = { allowedLatenessMs: 3 * hour, nowMs: now };

  function judge(hoursAgo: number, partitions: readonly PartitionState[], ends?: Sources['ends']) {
    const period = {
      signal: 'traces' as const,
      fromMs: now - (hoursAgo + 1) * hour,
      toMs: now - hoursAgo * hour,
      files: 1,
      rows: 1,
      bytes: 1,
      quarantinedRows: 0,
    };
    const all = judgePartitions(sources({ partitions, ends }));
    const { state, heldBy } = judgePeriod(period, all, lateness);
    return [state, heldBy.map((holder) => `${holder.partition} ${holder.condition}`)];
  }

  const well = [partition('0'), partition('spool')];

  it.each<[string, ReturnType<typeof judge>, ReturnType<typeof judge>]>([
    ['nobody has ever read the signal', judge(10, []), ['unknown', []]],
    ['all are past its end and the allowed lateness', judge(4, well), ['final', []]],
    ['it is over, late data may come', judge(1, well), ['waiting', []]],
    ['it is not over', judge(-1, well), ['running', []]],
    [
      'a partition that is drained holds it back',
      judge(4, [...well, partition('1', { behindMs: 5 * hour })]),
      ['held', ['1 behind']],
    ],
    [
      'a partition that Kafka has grown, which no archiver has seen yet',
      judge(4, well, [end('0', 0, 100), end('1', 0, 5)]),
      ['held', ['1 unread']],
    ],
    [
      'a partition of a deleted topic holds it back for a week',
      judge(
        4,
        [...well, partition('1', { behindMs: 6 * day, seenAgoMs: 6 * day })],
        [end('0', 0, 100)],
      ),
      ['held', ['1 missing']],
    ],
    [
      'and then no more',
      judge(
        4,
        [...well, partition('1', { behindMs: 8 * day, seenAgoMs: 8 * day })],
        [end('0', 0, 100)],
      ),
      ['final', []],
    ],
  ])('%s', (_, actual, expected) => {
    expect(actual).toEqual(expected);
  });
});

describe('alertsOf()', () => {
  const all = judgePartitions(
    sources({
      partitions: [
        partition('0', { behindMs: 20 * minute }),
        partition('1', { behindMs: 9 * day, seenAgoMs: 9 * day }),
        { ...partition('2', { committed: false }), watermarkMs: 0 },
      ],
      ends: [end('0', 0, 5100), end('1', 0, 9000), end('2', 0, 0)],
    }),
  );

  it('asks for nothing without thresholds', () => {
    expect(alertsOf(all, {}, now)).toEqual([]);
  });

  it('tells of lag and age, not of silent partitions', () => {
    expect(alertsOf(all, { maxLag: 4999, maxAgeMs: 10 * minute }, now)).toEqual([
      'otlp_spans/0 has 5000 records that are not archived, allowed are 4999',
      'otlp_spans/0 is complete up to 1200 s ago only, allowed are 600 s',
      'otlp_spans/2 was never read, allowed are 600 s',
    ]);
    expect(alertsOf(all, { maxLag: 5000 }, now)).toEqual([]);
  });
});
