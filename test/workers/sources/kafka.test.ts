/** One Kafka partition as a source: what it holds, where it goes on, and whose its records are. */
import { beforeEach, describe, expect, it } from 'vitest';
import { recordHeaders } from '../../../schemas/archive.ts';
import type { Commit } from '../../../schemas/commit.ts';
import { watermarkIntervalMs } from '../../../schemas/limits/archive.ts';
import { edgeClockMsMax, kafkaVisibleMsMax } from '../../../schemas/limits/kafka.ts';
import { requestIdOf } from '../../../schemas/requestid.ts';
import { Budget } from '../../../workers/sources/budget.ts';
import type { KafkaBatch, KafkaRecord } from '../../../workers/clients/kafka/consumer.ts';
import { KafkaSource } from '../../../workers/sources/kafka.ts';
import type { SourceRecord } from '../../../workers/sources/source.ts';

const startMs = Date.UTC(2026, 10, 22, 13, 30);
const anything = { bytesMax: 1e9, recordsMax: 1e9 };

/** What was asked of the consumer, in order. */
let calls: string[];
let end: bigint;
let nowMs: number;
let missing: string[];

beforeEach(() => {
  [calls, end, nowMs, missing] = [[], 0n, startMs, []];
});

function sourceOf(budget = new Budget(1e9), heldBytesMax = 1e9): KafkaSource {
  return new KafkaSource({
    signal: 'traces',
    partition: 3,
    budget,
    heldBytesMax,
    defaultTenant: 'default',
    now: () => nowMs,
    onMissing: (offset, count) => missing.push(`${count} from ${offset}`),
    reader: {
      seek: (offset) => calls.push(`seek ${offset}`),
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
      commit: (offset) => {
        calls.push(`commit ${offset}`);
        return Promise.resolve();
      },
      end: () => Promise.resolve(end),
    },
  });
}

function head(nextOffset: number): Commit {
  return { nextOffset: String(nextOffset) } as unknown as Commit;
}

function record(offset: number, more: Partial<KafkaRecord> = {}): KafkaRecord {
  const value = Buffer.from(`request ${offset}`);
  const timestampMs = startMs + offset;
  return { offset: BigInt(offset), timestampMs, key: null, value, headers: {}, ...more };
}

function batchOf(records: readonly KafkaRecord[], highWatermark?: number): KafkaBatch {
  const nextOffset = (records.at(-1)?.offset ?? 0n) + 1n;
  const high = highWatermark === undefined ? nextOffset : BigInt(highWatermark);
  return { topic: 'otlp_spans', partition: 3, records, nextOffset, highWatermark: high };
}

function header(tenant: string): KafkaRecord['headers'] {
  return { [recordHeaders.tenant]: Buffer.from(tenant) };
}

async function held(source: KafkaSource): Promise<SourceRecord[]> {
  const found: SourceRecord[] = [];
  for await (const each of (await source.look(anything)).records()) found.push(each);
  return found;
}

async function offsets(source: KafkaSource): Promise<number[]> {
  return (await held(source)).map(({ offset }) => Number(offset));
}

describe('KafkaSource.adopt()', () => {
  it('begins where the archive ends, and tells the group', async () => {
    end = 9n;
    const source = sourceOf();
    await source.adopt(head(7));
    expect(await source.start).toBe(7n);
    expect(calls).toContain('commit 7');
  });

  it('begins at 0 before the first commit', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    expect(await source.start).toBe(0n);
  });

  it('forgets what was committed, by whomever, and keeps the rest', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([0, 1, 2, 3].map((offset) => record(offset))));
    await source.adopt(head(2));
    expect(await offsets(source)).toEqual([2, 3]);
    expect(calls.filter((call) => call.startsWith('seek'))).toEqual([]);
  });

  it('goes to where another archiver has committed beyond what is held', async () => {
    end = 100n;
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(0)], 100));
    await source.adopt(head(50));
    expect(calls).toContain('seek 50');
    source.take(batchOf([record(1), record(2)], 100));
    expect(await offsets(source)).toEqual([]);
    source.take(batchOf([record(50)], 100));
    expect(await offsets(source)).toEqual([50]);
  });

  it('refuses a topic that ends before the archive does', async () => {
    end = 5n;
    await expect(sourceOf().adopt(head(6))).rejects.toMatchObject({
      kafkaType: 'OFFSET_OUT_OF_RANGE',
      retryable: false,
    });
  });

  it('fetches again after a fault all that is not committed', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(0), record(1)]));
    source.suspend();
    expect(source.heldBytes).toBe(0);
    source.take(batchOf([record(2)]));
    end = 3n;
    await source.adopt(undefined);
    expect(calls.slice(-2)).toEqual(['commit 0', 'seek 0']);
    source.take(batchOf([record(0), record(1), record(2)]));
    expect(await offsets(source)).toEqual([0, 1, 2]);
  });
});

describe('KafkaSource.take()', () => {
  it('keeps each record once, in order, and asks again before it believes in a gap', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(0), record(1)]));
    source.take(batchOf([record(1), record(2)]));
    source.take(batchOf([record(0)]));
    source.take(batchOf([record(5)]));
    expect(calls.at(-1)).toBe('seek 3');
    expect(missing).toEqual([]);
    source.take(batchOf([record(5)]));
    expect(await offsets(source)).toEqual([0, 1, 2, 5]);
    expect(missing).toEqual(['2 from 3']);
  });

  it('takes no record that got lost behind a gap for a part of the gap', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(2), record(3)]));
    source.take(batchOf([record(3)]));
    expect(missing).toEqual([]);
    source.take(batchOf([record(2), record(3)]));
    source.take(batchOf([record(2), record(3)]));
    expect(missing).toEqual(['2 from 0']);
    expect(await offsets(source)).toEqual([2, 3]);
  });

  it('takes a batch that was only lost on its way after the seek', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(1)]));
    source.take(batchOf([record(0), record(1)]));
    source.take(batchOf([record(2)]));
    expect(await offsets(source)).toEqual([0, 1, 2]);
    expect(missing).toEqual([]);
  });

  it('finds the tenant in the header, else in the key, else takes the default', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(
      batchOf([
        record(0, { headers: header('acme'), key: Buffer.from('other/r1') }),
        record(1, { key: Buffer.from('acme/r1') }),
        record(2, { key: Buffer.from('5b8efff798038103d269b633813fc60c') }),
        record(3, { key: null }),
        record(4, { headers: header('../etc'), key: Buffer.from('ACME/..') }),
      ]),
    );
    const tenants = (await held(source)).map(({ tenantId }) => tenantId);
    expect(tenants).toEqual(['acme', 'acme', 'default', 'default', 'default']);
  });

  it('knows when the edge received a record, by the id in its header, else in its key', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    const uuid = '12345678-1234-4cc3-98c4-dc0c0c07398f';
    const at = (ms: number) => requestIdOf(startMs + ms, uuid);
    const inHeader = { [recordHeaders.requestId]: Buffer.from(at(-20)) };
    source.take(
      batchOf([
        record(0, { headers: inHeader, key: Buffer.from(`acme/${at(-10)}`) }),
        record(1, { key: Buffer.from(`acme/${at(-10)}`) }),
        record(2, { key: Buffer.from('acme/request-1') }),
        // Not of the edge: nothing stays on its way for so long.
        record(3, { key: Buffer.from(`acme/${at(-edgeClockMsMax - 1)}`) }),
        record(4),
      ]),
    );
    const received = (await held(source)).map(({ edgeMs }) => edgeMs && edgeMs - startMs);
    expect(received).toEqual([-20, -10, undefined, undefined, undefined]);
  });

  it('says where a record came from, and takes one without a value for an empty request', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([record(0, { value: null, timestampMs: -1 })]));
    expect(await held(source)).toMatchObject([
      {
        request: new Uint8Array(),
        receivedMs: nowMs,
        name: '3+0000000000000000000',
        origin: { topic: 'otlp_spans', partition: '3', offset: '0' },
      },
    ]);
  });
});

describe('KafkaSource, bounded', () => {
  it('pauses when it holds its share, and resumes when that is committed', async () => {
    const source = sourceOf(undefined, 20);
    await source.adopt(undefined);
    calls = [];
    source.take(batchOf([record(0), record(1)]));
    expect(calls).toEqual([]);
    const { changed } = await source.look(anything);
    source.take(batchOf([record(2)]));
    expect(calls).toEqual(['pause']);
    expect(changed.aborted).toBe(true);
    await source.adopt(head(2));
    expect(calls).toEqual(['pause', 'commit 2', 'resume']);
  });

  it('pauses when all partitions together hold too much, and flushes if it is the largest', async () => {
    const budget = new Budget(1000);
    const [large, small] = [sourceOf(budget), sourceOf(budget)];
    await large.adopt(undefined);
    await small.adopt(undefined);
    small.take(batchOf([record(0)]));
    calls = [];
    large.take(batchOf([record(0), record(1), record(2)]));
    expect(calls).toEqual(['pause', 'pause']);
    expect(await large.look(anything)).toMatchObject({ full: true });
    expect(await small.look(anything)).toMatchObject({ full: false });
    await large.adopt(head(3));
    expect(calls).toEqual(['pause', 'pause', 'commit 3', 'resume', 'resume']);
  });

  it('has another partition flush while its own flush is under way', async () => {
    const budget = new Budget(1100);
    const [first, second] = [sourceOf(budget), sourceOf(budget)];
    await first.adopt(undefined);
    await second.adopt(undefined);
    first.take(batchOf([record(0), record(1)]));
    second.take(batchOf([record(0), record(1)]));
    const flushed = await first.look(anything);
    const { changed } = await second.look(anything);
    expect([flushed.full, changed.aborted]).toEqual([true, false]);
    await flushed.records().next();
    expect(changed.aborted).toBe(false);
    second.take(batchOf([record(2)]));
    expect(changed.aborted).toBe(true);
    expect(await second.look(anything)).toMatchObject({ full: true });
    expect(await first.look(anything)).toMatchObject({ full: false });
  });

  it('gives its room back when the partition is taken from it', async () => {
    const budget = new Budget(1000);
    const source = sourceOf(budget);
    await source.adopt(undefined);
    source.take(batchOf([record(0)]));
    source.close();
    source.take(batchOf([record(1)]));
    expect(budget.heldBytes).toBe(0);
    await source.adopt(head(9));
    expect(calls.at(-1)).toBe('commit 9');
  });
});

describe('KafkaSource.look()', () => {
  it('gives records up to the bounds of a flush', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    source.take(batchOf([0, 1, 2, 3].map((offset) => record(offset))));
    expect(await source.look(anything)).toMatchObject({ count: 4, bytes: 36, full: false });
    expect(await source.look({ bytesMax: 10, recordsMax: 9 })).toMatchObject({
      count: 2,
      full: true,
    });
    expect(await source.look({ bytesMax: 1e9, recordsMax: 3 })).toMatchObject({
      count: 3,
      full: true,
    });
  });

  it('takes along what came before its records are read', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    nowMs += 3_600_000;
    source.take(batchOf([record(0)]));
    const backlog = await source.look({ bytesMax: 20, recordsMax: 9 });
    expect(backlog).toMatchObject({ count: 1, full: false });
    source.take(batchOf([1, 2, 3].map((offset) => record(offset))));
    const taken: number[] = [];
    for await (const { offset } of backlog.records()) taken.push(Number(offset));
    expect(taken).toEqual([0, 1, 2]);
    expect(backlog.watermarkAfter(3)).toBe(startMs + 3 - kafkaVisibleMsMax);
  });

  it('counts the age of a flush from when it was fetched, not from when it was sent', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    nowMs += 3_600_000;
    source.take(batchOf([record(0)]));
    nowMs += 5;
    expect((await source.look(anything)).waitingSinceMs).toBe(nowMs - 5);
  });

  it('is complete when it has reached the end of the partition', async () => {
    end = 3n;
    const source = sourceOf();
    await source.adopt(undefined);
    expect(await source.look(anything)).toMatchObject({ count: 0, complete: false });
    source.take(batchOf([record(0), record(1)], 3));
    expect((await source.look(anything)).complete).toBe(false);
    source.take(batchOf([record(2)], 3));
    expect((await source.look(anything)).complete).toBe(true);
  });

  it('vouches for what it has taken', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    nowMs = startMs + 3_600_000;
    source.take(batchOf([record(10), record(11)], 20));
    source.take(batchOf([record(10), record(11)], 20));
    const behind = await source.look(anything);
    expect(behind.watermarkAfter(0)).toBe(startMs + 10 - kafkaVisibleMsMax);
    expect(behind.watermarkAfter(1)).toBe(startMs + 11 - kafkaVisibleMsMax);
    expect(behind.watermarkAfter(2)).toBe(startMs + 11 - kafkaVisibleMsMax);
    source.take(batchOf([record(12)], 13));
    source.take(batchOf([record(13)], 14));
    end = 20n;
    const between = await source.look(anything);
    expect(between.watermarkAfter(4)).toBe(startMs + 13 - kafkaVisibleMsMax);
    source.take(batchOf([14, 15, 16, 17, 18, 19].map((offset) => record(offset))));
    const all = await source.look(anything);
    // All that the broker had when it answered; but that may have been long ago, by a process that slept.
    expect(all.complete).toBe(true);
    expect(all.watermarkAfter(10)).toBe(startMs + 19 - kafkaVisibleMsMax);
  });

  it('vouches for the time of its question when nothing has come since', async () => {
    const source = sourceOf();
    end = 2n;
    await source.adopt(undefined);
    nowMs = startMs + 3_600_000;
    const early = { timestampMs: startMs - 10 };
    source.take(batchOf([record(0, early), record(1, early)]));
    const all = await source.look(anything);
    expect(all.watermarkAfter(2)).toBe(startMs - kafkaVisibleMsMax);
  });

  it('asks an idle partition for its end, and moves its watermark', async () => {
    const source = sourceOf();
    await source.adopt(undefined);
    nowMs += watermarkIntervalMs - 1;
    expect((await source.look(anything)).watermarkAfter(0)).toBe(startMs - kafkaVisibleMsMax);
    nowMs += 1;
    expect((await source.look(anything)).watermarkAfter(0)).toBe(nowMs - kafkaVisibleMsMax);
    end = 1n;
    nowMs += watermarkIntervalMs;
    expect((await source.look(anything)).complete).toBe(false);
  });
});
