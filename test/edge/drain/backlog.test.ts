/** Listings of the spools, on real R2 and on a bucket with more than a page. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { listArchive, listSpeed, loadOf } from '../../../edge/drain/backlog.ts';
import type { ListBucket } from '../../../edge/drain/backlog.ts';
import { listPageKeys, spoolPagesMeasuredMax } from '../../../schemas/limits.ts';
import { clear } from '../stack.ts';

beforeEach(clear);

const key = (prefix: string, index: number) =>
  `${prefix}${1_795_000_000_000 + index}+r-${index}+acme`;

/** A bucket with these keys, in pages; each object has its length as its size. */
function bucketOf(keys: readonly string[]) {
  const listed: string[] = [];
  const bucket: ListBucket = {
    list: ({ prefix, limit, cursor }) => {
      listed.push(prefix);
      const all = keys.filter((name) => name.startsWith(prefix)).toSorted();
      const from = Number(cursor ?? 0);
      const objects = all.slice(from, from + limit).map((name) => ({ key: name, size: 2 }));
      const truncated = from + limit < all.length;
      return Promise.resolve({ objects, truncated, cursor: String(from + limit) });
    },
  };
  return { bucket, listed };
}

describe('listSpeed()', () => {
  it('listSpeed() says which table each object is for, on real R2', async () => {
    await env.ARCHIVE.put(key('spool/speed/otel_logs/', 2), 'abc');
    await env.ARCHIVE.put(key('spool/speed/otel_traces/', 1), 'a');
    await env.ARCHIVE.put('spool/speed/otel_traces/readme.txt', 'a');
    await env.ARCHIVE.put(key('spool/archive/otlp_logs/', 3), 'a');
    const waiting = await listSpeed(env.ARCHIVE);
    expect(waiting).toEqual([
      {
        key: key('spool/speed/otel_logs/', 2),
        bytes: 3,
        receivedMs: 1_795_000_000_002,
        table: 'otel_logs',
      },
      {
        key: key('spool/speed/otel_traces/', 1),
        bytes: 1,
        receivedMs: 1_795_000_000_001,
        table: 'otel_traces',
      },
    ]);
    expect(loadOf(waiting)).toEqual({ objects: 2, bytes: 4, oldestMs: 1_795_000_000_001 });
  });

  it('listSpeed() reads one page when that has it all', async () => {
    const { bucket, listed } = bucketOf([key('spool/speed/otel_logs/', 1)]);
    expect(await listSpeed(bucket)).toHaveLength(1);
    expect(listed).toEqual(['spool/speed/']);
  });

  it('a table with very many objects hides no other, and costs a bounded number of pages', async () => {
    const many = spoolPagesMeasuredMax * listPageKeys + 1;
    const { bucket, listed } = bucketOf([
      ...Array.from({ length: many }, (_, index) => key('spool/speed/otel_logs/', 100_000 + index)),
      key('spool/speed/otel_traces/', 1),
    ]);
    const load = loadOf(await listSpeed(bucket));
    expect(load).toEqual({ objects: many, bytes: 2 * many, oldestMs: 1_795_000_000_001 });
    expect(listed).toHaveLength(1 + spoolPagesMeasuredMax + 7);
  });
});

describe('listArchive()', () => {
  it('listArchive() lists what waits of every signal', async () => {
    const topics = ['otlp_logs', 'otlp_metrics', 'otlp_spans'];
    const { bucket } = bucketOf(
      topics.map((topic, index) => key(`spool/archive/${topic}/`, index)),
    );
    expect(await listArchive(bucket)).toHaveLength(3);
    expect(loadOf(await listArchive(bucketOf([]).bucket))).toEqual({
      objects: 0,
      bytes: 0,
      oldestMs: 0,
    });
  });
});
