/** Encoding threads: the same bytes as in our own thread, and what becomes of a flush whose thread dies. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../../schemas/archive.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { SharedColumns } from '../../../workers/flush/columns.ts';
import type { PendingFile } from '../../../workers/flush/commit.ts';
import type { FlushEncoder, RawRecord } from '../../../workers/flush/encode.ts';
import type { ThreadContext } from '../../../workers/flush/message.ts';
import { EncoderThreads } from '../../../workers/flush/threads.ts';
import { Generator } from '../../aggregator-as/generate.ts';
import { spoolObject } from '../../support/committed.ts';
import { seededRandom } from '../../support/random.ts';

const wasm = new URL('../../../aggregator-as/build/transcode.wasm', import.meta.url);
const entry = new URL('../../../workers/flush/thread.ts', import.meta.url);
const options = {
  topic: topics.traces,
  partitionNumber: 7,
  rowsMax: 1e9,
  pastMaxMs: 1e15,
  futureMaxMs: 1e15,
  oversized: new Set<string>(),
};

let transcoder: WebAssembly.Module;
let pool: EncoderThreads | undefined;
const started: Worker[] = [];

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

afterEach(async () => {
  await pool?.close();
  started.length = 0;
});

function poolOf(threads: number, more: Partial<ThreadContext> = {}): EncoderThreads {
  const workerData = { transcoder, pagesMax: 16_384, attributesMax: 1000, ...more };
  pool = new EncoderThreads({
    threads,
    startThread: () => {
      const worker = new Worker(entry, { workerData });
      started.push(worker);
      return worker;
    },
  });
  return pool;
}

function record(index: number, request: Uint8Array): RawRecord {
  const receivedMs = Date.UTC(2026, 10, 22) + index;
  return { offset: BigInt(index), receivedMs, tenantId: 'acme', request, name: `record ${index}` };
}

function spans(...names: string[]): Uint8Array {
  return spoolObject(topics.traces, Date.UTC(2026, 10, 22), 'r', names).body;
}

async function filesOf(encoder: FlushEncoder): Promise<PendingFile[]> {
  const files: PendingFile[] = [];
  for await (const file of encoder.files()) files.push(file);
  return files;
}

/** Comparing bytes one by one takes seconds. */
function digested({ bytes, ...file }: PendingFile): object {
  return { ...file, bytes: createHash('sha256').update(bytes).digest('hex') };
}

function flushOf(threads: EncoderThreads): Promise<PendingFile[]> {
  return threads.use('traces', async (encoder) => {
    await encoder.add([record(0, spans('a'))], options);
    return filesOf(encoder);
  });
}

describe('EncoderThreads.use()', () => {
  it('gives the counts, faults and files that encoding in this thread gives', async () => {
    const seed = 20_261_123;
    console.info(`seed ${seed}`);
    const generator = new Generator(seededRandom(seed));
    const requests = [
      ...Array.from({ length: 30 }, () => generator.request()),
      Uint8Array.of(0xff),
    ];
    const records = requests.map((request, index) => record(index, request));
    const encode = async (encoder: FlushEncoder) => {
      const added = await encoder.add(records, { ...options, oversized: new Set(['record 0']) });
      // Fewer bytes than before, in the same memory.
      await encoder.add(records.slice(1, 9), options);
      return { added, files: await filesOf(encoder) };
    };
    const here = await new SharedColumns(transcoder).use('traces', encode);
    const there = await poolOf(1).use('traces', encode);
    expect(here.added.dead.map(({ index }) => index)).toEqual([0, 30]);
    expect(there.added).toEqual(here.added);
    expect(there.files.map(digested)).toEqual(here.files.map(digested));
    expect(there.added.dead[1]?.error).toMatchObject({ code: 'BAD_OTLP', byteOffset: 1 });
    expect(here.files.length).toBeGreaterThan(1);
  });

  it('begins every flush empty, whatever the one before it was, in one thread', async () => {
    const threads = poolOf(1);
    const rows = async (signal: Signal, ...names: string[]) =>
      threads.use(signal, async (encoder) => {
        const added = await encoder.add([record(0, spans(...names))], options);
        return added.rows;
      });
    expect(await rows('traces', 'a', 'b')).toBe(2);
    expect(await rows('traces', 'a')).toBe(1);
    expect(await rows('logs')).toBe(0);
    expect(await rows('traces', 'a', 'b', 'c')).toBe(3);
    const failing = threads.use('traces', async (encoder) => {
      await encoder.add([record(0, spans('a'))], options);
      throw new Error('the store is gone');
    });
    await expect(failing).rejects.toThrow('the store is gone');
    expect(await rows('traces', 'a')).toBe(1);
    expect(started).toHaveLength(1);
  });

  it('lets as many flushes be at work as there are threads, and the others wait', async () => {
    const threads = poolOf(2);
    let [now, most] = [0, 0];
    const one = () =>
      threads.use('traces', async (encoder) => {
        now += 1;
        most = Math.max(most, now);
        await encoder.add([record(0, spans('a'))], options);
        await filesOf(encoder);
        now -= 1;
      });
    await Promise.all(Array.from({ length: 7 }, one));
    expect(most).toBe(2);
    expect(started).toHaveLength(2);
  });

  it('leaves this thread free while it encodes', async () => {
    const requests = Array.from({ length: 200 }, (_, index) =>
      record(index, spans(...Array.from({ length: 200 }, (__, span) => `span ${span}`))),
    );
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    const { encodeMs } = await poolOf(1).use('traces', async (encoder) => {
      await encoder.add(requests, options);
      ticks = 0;
      await filesOf(encoder);
      return encoder.times;
    });
    clearInterval(timer);
    // Were it busy, the timer could not have fired but once.
    expect(encodeMs).toBeGreaterThan(0);
    expect(ticks).toBeGreaterThan(3);
  });

  it('fails the flush of a thread that dies, retryably, and encodes the next in a new one', async () => {
    const threads = poolOf(1);
    const dying = threads.use('traces', async (encoder) => {
      await encoder.add([record(0, spans('a'))], options);
      await started[0]?.terminate();
      return filesOf(encoder);
    });
    await expect(dying).rejects.toMatchObject({ code: 'THREAD_ENDED', retryable: true });
    expect(await flushOf(threads)).toMatchObject([{ rows: 1 }]);
    const inTheMiddle = threads.use('traces', async (encoder) => {
      const added = encoder.add([record(0, spans('a'))], options);
      const [end] = await Promise.allSettled([added, started[1]?.terminate()]);
      if (end.status === 'rejected') throw end.reason;
      return filesOf(encoder);
    });
    await expect(inTheMiddle).rejects.toMatchObject({ code: 'THREAD_ENDED' });
    expect(await flushOf(threads)).toMatchObject([{ rows: 1 }]);
  });

  it('says CAPACITY, with the records before it taken, when the columns have no room', async () => {
    const big = spans('y'.repeat(3_000_000));
    const taken = await poolOf(1, { pagesMax: 80 }).use('traces', (encoder) =>
      encoder.add([record(0, big), record(1, big)], options),
    );
    expect(taken).toMatchObject({ count: 1, full: true, rows: 1, dead: [] });
  });
});
