/** Checks when groups leave, what they hold and who is answered; legs are what each test hands in. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../edge/fanout.ts';
import { Grouping, merge } from '../../../edge/commit/group.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { readSettings } from '../../../schemas/settings.ts';

function batch(tenantId: string, otlp: number[], rows: number[], signal: 'traces' | 'logs'): Batch {
  const table = signal === 'traces' ? ('otel_traces' as const) : ('otel_logs' as const);
  return {
    signal,
    parts: [
      {
        parts: { receivedMs: 1000 + otlp.length, requestId: `r${otlp[0]}`, tenantId },
        otlp: Uint8Array.from(otlp),
        digest: `${tenantId}:${otlp.join()}`,
      },
    ],
    tables: [{ table, rows: Uint8Array.from(rows), rowCount: rows.length }],
  };
}

const log = (tenantId: string, ...otlp: number[]) => batch(tenantId, otlp, [9], 'logs');
const span = (tenantId: string, ...otlp: number[]) => batch(tenantId, otlp, otlp, 'traces');

/** Legs that end when the test says so, and a clock that goes when it says so. */
function legs(settings: Record<string, string> = {}) {
  const commits: { batch: Batch; end: () => void; fail: (error: Error) => void }[] = [];
  const timers: { ms: number; ring: () => void }[] = [];
  const group = new Grouping(readSettings({ TIDEMARK_GROUP_MS: '200', ...settings }), {
    commit: (each) =>
      new Promise((resolve, reject) => {
        const end = () => resolve({ token: 'token', isDoubtful: false });
        commits.push({ batch: each, end, fail: reject });
      }),
    later: (ms, ring) => timers.push({ ms, ring }),
  });
  return { group, commits, timers };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('Grouping', () => {
  it('add() sends a lone batch at once, as it is', async () => {
    const { group, commits, timers } = legs();
    const lone = span('acme', 1, 2);
    const answer = group.add(lone);
    expect(commits.map(({ batch: each }) => each)).toEqual([lone]);
    expect(timers).toEqual([]);
    commits[0]?.end();
    expect(await answer).toMatchObject({ requests: 1 });
  });

  it('add() gathers while a group is under way, and sends what gathered when that has ended', async () => {
    const { group, commits } = legs();
    const answers = [span('acme', 1), span('acme', 2), span('acme', 3)].map((each) =>
      group.add(each),
    );
    expect(commits).toHaveLength(1);
    commits[0]?.end();
    await settled();
    expect(commits).toHaveLength(2);
    expect(commits[1]?.batch.parts.map(({ otlp }) => [...otlp])).toEqual([[2, 3]]);
    commits[1]?.end();
    expect(await Promise.all(answers)).toMatchObject([
      { requests: 1 },
      { requests: 2 },
      { requests: 0 },
    ]);
  });

  it('add() tells each request in which record it is, and who was left out as a copy', async () => {
    const { group, commits } = legs();
    void group.add(log('acme', 9));
    const later = [log('acme', 1), log('acme', 2, 2), log('acme', 1), log('beta', 1)];
    const answers = later.map((each) => group.add(each));
    commits[0]?.end();
    await settled();
    commits[1]?.end();
    // Received at 1000 and a millisecond for each byte: the record of acme began with the first.
    expect(await Promise.all(answers)).toEqual([
      { requests: 4, recordedMs: 1001, isCopy: false, token: 'token', isDoubtful: false },
      { requests: 0, recordedMs: 1001, isCopy: false, token: 'token', isDoubtful: false },
      { requests: 0, recordedMs: 1001, isCopy: true, token: 'token', isDoubtful: false },
      { requests: 0, recordedMs: 1001, isCopy: false, token: 'token', isDoubtful: false },
    ]);
  });

  it('add() sends a group when it is as old as the setting, beside the one under way', () => {
    const { group, commits, timers } = legs();
    for (const each of [1, 2, 3]) void group.add(span('acme', each));
    expect(timers.map(({ ms }) => ms)).toEqual([200]);
    timers[0]?.ring();
    expect(commits.map(({ batch: each }) => each.tables[0]?.rowCount)).toEqual([1, 2]);
  });

  it('add() sends a group before it passes its items or its bytes', () => {
    const items = legs({ TIDEMARK_GROUP_ITEMS_MAX: '3' });
    for (const each of [1, 2, 3]) void items.group.add(span('acme', each, each));
    expect(items.commits.map(({ batch: each }) => each.tables[0]?.rowCount)).toEqual([2, 2]);
    const bytes = legs({ TIDEMARK_GROUP_BYTES_MAX: '5' });
    for (const each of [1, 2, 3, 4]) void bytes.group.add(span('acme', each, each));
    expect(bytes.commits.map(({ batch: each }) => each.parts[0]?.otlp.length)).toEqual([2, 4]);
  });

  it('a timer of a group that has gone already does nothing', async () => {
    const { group, commits, timers } = legs();
    void group.add(span('acme', 1));
    void group.add(span('acme', 2));
    commits[0]?.end();
    await settled();
    void group.add(span('acme', 3));
    timers[0]?.ring();
    expect(commits).toHaveLength(2);
  });

  it('all requests of a group fail with it, and the next group goes on', async () => {
    const { group, commits } = legs();
    const first = group.add(span('acme', 1));
    const [second, third] = [group.add(span('acme', 2)), group.add(span('beta', 3))];
    commits[0]?.end();
    await first;
    commits[1]?.fail(new TidemarkError('SINK_FAILED', 'no', { retryable: true }));
    await expect(second).rejects.toMatchObject({ code: 'SINK_FAILED' });
    await expect(third).rejects.toMatchObject({ code: 'SINK_FAILED' });
    await settled();
    const fourth = group.add(span('acme', 4));
    commits[2]?.end();
    expect(await fourth).toMatchObject({ requests: 1 });
  });

  it('add() refuses what does not fit into memory, and takes it when there is room again', async () => {
    const { group, commits } = legs({ TIDEMARK_IN_FLIGHT_BYTES_MAX: '8' });
    const first = group.add(span('acme', 1, 1, 1));
    await expect(group.add(span('acme', 2, 2))).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
    });
    commits[0]?.end();
    await first;
    const second = group.add(span('acme', 2, 2));
    commits[1]?.end();
    expect(await second).toMatchObject({ requests: 1 });
  });
});

describe('merge()', () => {
  it('merge() keeps tenants apart in the archive and together in the tables', () => {
    const merged = merge([span('acme', 1, 2), span('beta', 3), span('acme', 4)]);
    expect(
      merged.parts.map(({ parts, otlp }) => [parts.tenantId, parts.requestId, ...otlp]),
    ).toEqual([
      ['acme', 'r1', 1, 2, 4],
      ['beta', 'r3', 3],
    ]);
    expect(merged.tables).toEqual([
      { table: 'otel_traces', rows: Uint8Array.of(1, 2, 3, 4), rowCount: 4 },
    ]);
  });

  it('merge() keeps spans that were sent twice, and drops log requests that were', () => {
    const spans = merge([span('acme', 1), span('acme', 1)]);
    expect(spans.tables[0]?.rowCount).toBe(2);
    const logs = merge([log('acme', 1), log('acme', 1), log('beta', 1), log('acme', 2)]);
    expect(logs.tables[0]?.rowCount).toBe(3);
    expect(logs.parts.map(({ parts, otlp }) => [parts.tenantId, ...otlp])).toEqual([
      ['acme', 1, 2],
      ['beta', 1],
    ]);
  });
});
