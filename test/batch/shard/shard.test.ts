import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { computeShard, type ShardOptions } from '../../../batch/shard/shard.ts';
import { startSpanWork } from '../../../batch/traces/work.ts';
import { footerBytesGuess, rangeGapBytesMax } from '../../../schemas/limits/batch.ts';
import { decodePartialHeader } from '../../../schemas/partials/buckets.ts';
import { partialKey, idEnd, type Shard } from '../../../schemas/shard.ts';
import { CountingStore, startBucket, type Bucket } from '../../support/objects.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile } from '../../support/spans.ts';

const megabyte = 1024 * 1024;
let bucket: Bucket;
let module: WebAssembly.Module;

beforeAll(async () => {
  bucket = await startBucket();
  const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
  module = await WebAssembly.compile(await readFile(url));
});
afterAll(() => bucket.close());

describe('computeShard()', () => {
  it('stores the same bytes when it is run twice, by kernels with other seeds', async () => {
    const shard = await storeFile('twice', 3000, 400);
    const partials: (Uint8Array | undefined)[] = [];
    for (const seed of [1n, 77n]) {
      const computation = `twice-${seed}`;
      const outcome = await computeShard(shard, optionsFor(computation, 64 * megabyte, seed));
      expect(outcome.type).toBe('done');
      partials.push(await bucket.store.get(partialKey(computation, shard)));
    }
    expect(partials[0]?.length).toBeGreaterThan(1000);
    expect(partials[1]).toEqual(partials[0]);
    const again = await computeShard(shard, optionsFor('twice-1', 64 * megabyte));
    expect(again).toMatchObject({ type: 'done', report: { bytes: partials[0]?.length } });
  });

  it('counts every row before dedup once, whatever the ranges', async () => {
    const shard = await storeFile('ranges', 2000, 150);
    const middle = 7n << 125n;
    const halves = [
      { ...shard, idTo: middle },
      { ...shard, index: 1, idFrom: middle },
    ];
    let rows = 0;
    for (const half of halves) {
      await computeShard(half, optionsFor('ranges', 64 * megabyte));
      const partial = await bucket.store.get(partialKey('ranges', half));
      const { groups } = decodePartialHeader(partial ?? new Uint8Array());
      rows += groups.reduce((sum, group) => sum + group.rawCount, 0);
    }
    expect(rows).toBe(2000);
  });

  it('reads the footer and the needed columns of its row groups, and writes one object', async () => {
    const shard = await storeFile('cost', 40_000, 10_000);
    const store = new CountingStore(bucket.store);
    const options = { ...optionsFor('cost', 64 * megabyte), store };
    const [file] = shard.files;
    const files = [{ key: file?.key ?? '', bytes: file?.bytes ?? 0, hourMs: 0, rowGroups: [1] }];
    await computeShard({ ...shard, files }, options);
    expect(store.requests).toMatchObject({ head: 0, put: 1, list: 0, delete: 0 });
    // The footer, then the columns of the figures and of the service graph, once.
    expect(store.requests.get).toBeLessThanOrEqual(6);
    // A quarter of the rows, less the messages that are in the file and in no figure.
    const most = (file?.bytes ?? 0) / 4 + footerBytesGuess + 2 * rangeGapBytesMax;
    expect(store.bytesRead).toBeLessThan(most);
  });

  it('gives the parts of a shard that passes the memory', async () => {
    const shard = await storeFile('large', 30_000, 50_000);
    const outcome = await computeShard(shard, optionsFor('large', 5 * megabyte));
    expect(outcome.type).toBe('split');
    if (outcome.type !== 'split') return;
    expect(outcome.shards.length).toBe(6);
    for (const part of outcome.shards) {
      const done = await computeShard(part, optionsFor('large', 5 * megabyte));
      expect(done.type).toBe('done');
    }
  });

  it('says so when one trace passes the memory alone', async () => {
    const shard = await storeFile('giant', 30_000, 50_000, 1);
    await expect(computeShard(shard, optionsFor('giant', 3 * megabyte))).rejects.toMatchObject({
      code: 'CAPACITY',
      message: expect.stringContaining('raise TIDEMARK_BATCH_MEMORY_BYTES') as string,
    });
  });

  it('names a file that is gone', async () => {
    const shard = await storeFile('gone', 100, 100);
    await bucket.store.delete(shard.files.map((file) => file.key));
    await expect(computeShard(shard, optionsFor('gone', 64 * megabyte))).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: 'Cannot read "files/gone.parquet": its commit names it, but it is gone',
    });
  });
});

async function storeFile(
  name: string,
  rows: number,
  rowGroupRows: number,
  traces = rows >> 3,
): Promise<Shard> {
  const file = writeSpanFile(randomSpans(seededRandom(rows), rows, { traces }), rowGroupRows);
  const key = `files/${name}.parquet`;
  await bucket.store.put(key, file.bytes);
  const rowGroups = file.rowGroups.map((_, index) => index);
  return {
    index: 0,
    idFrom: 0n,
    idTo: idEnd,
    files: [{ key, bytes: file.bytes.length, hourMs: 0, rowGroups }],
    estimatedRows: rows,
  };
}

function optionsFor(computation: string, memoryBytes: number, hashSeed = 1n): ShardOptions {
  const options = {
    kernel: module,
    memoryBytes,
    hashSeed,
    periodMs: 0,
    seriesMax: 1,
    edgesMax: 1,
    operationsMax: 1000,
    kind: 'day',
  } as const;
  const work = startSpanWork(options);
  const rowsMax = 5000;
  return { store: bucket.store, computation, of: 'traces', work, rowsMax, onFile: () => undefined };
}
