/** Checks what a commit says of its records, by tenant and minute. */
import { describe, expect, it } from 'vitest';
import { parseCommitKey, commitKey } from '../../../schemas/commit.ts';
import { commitCounts, Counts, minuteOf } from '../../../workers/flush/count.ts';

const one = { isEdges: true, tenantId: 'acme', records: 1, rows: 0, rejected: 0, dead: 0 };

describe('Counts', () => {
  it('adds records up by tenant, minute and origin, minutes ascending', () => {
    const counts = new Counts();
    counts.add({ ...one, minute: 8, rows: 3, rejected: 1 });
    counts.add({ ...one, minute: 7, rows: 5 });
    counts.add({ ...one, minute: 8, rows: 4, rejected: 2 });
    counts.add({ ...one, minute: 8, rows: 9, isEdges: false });
    counts.add({ ...one, minute: 8, tenantId: '', dead: 1 });
    expect(counts.size).toBe(4);
    expect(commitCounts(counts.values())).toEqual([
      {
        tenant: 'acme',
        origin: 'edge',
        minutes: [
          [7, 1, 5, 0, 0],
          [8, 2, 7, 3, 0],
        ],
      },
      { tenant: 'acme', origin: 'other', minutes: [[8, 1, 9, 0, 0]] },
      { tenant: '', origin: 'edge', minutes: [[8, 1, 0, 0, 1]] },
    ]);
  });

  it('minuteOf() counts from 1970', () => {
    expect([minuteOf(0), minuteOf(59_999), minuteOf(60_000)]).toEqual([0, 0, 1]);
  });
});

describe('parseCommitKey()', () => {
  it('reads back what commitKey() writes, and nothing else', () => {
    const key = commitKey('otlp_spans', 'spool', 1234n);
    expect(parseCommitKey(key)).toEqual({
      topic: 'otlp_spans',
      partition: 'spool',
      firstOffset: 1234n,
    });
    expect(parseCommitKey('_commits/otlp_spans/0/12.json')).toBeUndefined();
    expect(parseCommitKey(`x/${key}`)).toBeUndefined();
  });
});
