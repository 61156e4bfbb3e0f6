import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { Grouper } from '../../aggregator-as/grouper.ts';
import { LogKernel, type LogColumns } from '../../aggregator-as/logkernel.ts';
import { seededRandom } from '../support/random.ts';
import { hexOf, murmur } from './murmur.ts';

const seed = Number(process.env['TEST_SEED'] ?? 7);
const memoryBytesMax = 64 * 1024 * 1024;
let module: WebAssembly.Module;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  const url = new URL('../../aggregator-as/build/aggregatelogs.wasm', import.meta.url);
  module = await WebAssembly.compile(await readFile(url));
});

interface Row {
  readonly content: number;
  readonly occurrence: number;
  readonly tenant: number;
  readonly bucket: number;
  readonly ingestedMs: number;
  readonly offset: number;
  readonly body: string;
}

describe('LogKernel', () => {
  it('equals a plain program, in any order of the rows and batches', () => {
    const random = seededRandom(seed);
    for (const count of [1, 2, 50, 5000, 20_000]) {
      const rows = randomRows(random, count);
      const kernel = new LogKernel(module, { memoryBytesMax, hashSeed: 3n });
      kernel.add(columnsOf(rows));
      expect(resultsOf(kernel)).toEqual(plainResults(rows));
      kernel.reset();
      const shuffled = rows.toSorted(
        (a, b) => a.body.length - b.body.length || a.offset - b.offset,
      );
      kernel.add(columnsOf(shuffled.slice(0, count >> 1)));
      kernel.add(columnsOf(shuffled.slice(count >> 1)));
      expect(resultsOf(kernel)).toEqual(plainResults(rows));
    }
  });

  it('sorts equal bodies, and hashes that share all but their last bits', () => {
    const kernel = new LogKernel(module, { memoryBytesMax });
    const rows = Array.from({ length: 9000 }, (_, i) =>
      rowOf(i, i % 3 === 0 ? 'same' : `${i % 5}`),
    );
    kernel.add(columnsOf(rows));
    expect(resultsOf(kernel)).toEqual(plainResults(rows));
  });

  it('gives nothing for nothing, and CAPACITY when the bound is passed', () => {
    const kernel = new LogKernel(module, { memoryBytesMax });
    expect([...kernel.finish()]).toEqual([]);
    const small = new LogKernel(module, { memoryBytesMax: 2 * 1024 * 1024 });
    const rows = Array.from({ length: 50_000 }, (_, i) => rowOf(i, `${i}`));
    expect(() => small.add(columnsOf(rows))).toThrow('it passes the limit of 2097152 bytes');
    small.reset();
    const large = [rowOf(0, 'x'.repeat(3_000_000))];
    expect(() => small.add(columnsOf(large))).toThrow('it passes the limit');
    expect(() => new Grouper(module, { memoryBytesMax: 65_536 })).toThrow('it passes the limit');
  });
});

function rowOf(content: number, body: string): Row {
  return { content, occurrence: 0, tenant: 0, bucket: 0, ingestedMs: 1, offset: content, body };
}

function randomRows(random: () => number, count: number): Row[] {
  const whole = (below: number): number => Math.floor(random() * below);
  return Array.from({ length: count }, (_, offset) => {
    const content = whole(Math.max(2, count >> 1));
    return {
      content,
      occurrence: whole(2),
      tenant: content % 2,
      bucket: content % 7,
      ingestedMs: whole(4),
      offset,
      body: content % 11 === 0 ? '' : 'ü'.repeat(content % 40) + (content % 50),
    };
  });
}

function columnsOf(rows: readonly Row[]): LogColumns {
  const bodies = rows.map(({ body }) => Buffer.from(body));
  const bodyOffsets = new Int32Array(rows.length + 1);
  for (const [i, body] of bodies.entries())
    bodyOffsets[i + 1] = (bodyOffsets[i] ?? 0) + body.length;
  const hashes = Buffer.alloc(rows.length * 16);
  for (const [i, { content }] of rows.entries()) hashes.writeUInt32LE(content, i * 16 + 12);
  return {
    rows: rows.length,
    contentHashes: hashes,
    occurrences: Uint32Array.from(rows, (row) => row.occurrence),
    tenants: Uint32Array.from(rows, (row) => row.tenant),
    services: new Uint32Array(rows.length).fill(4),
    buckets: Uint32Array.from(rows, (row) => row.bucket),
    ingestedMs: BigInt64Array.from(rows, (row) => BigInt(row.ingestedMs)),
    partitions: new Int32Array(rows.length),
    offsets: BigInt64Array.from(rows, (row) => BigInt(row.offset)),
    itemIndexes: new Uint32Array(rows.length),
    bodyOffsets,
    bodies: Buffer.concat(bodies),
  };
}

function resultsOf(kernel: LogKernel): unknown[] {
  return Array.from(kernel.finish(), (group) => ({
    key: [group.tenant, group.service, group.bucket],
    raw: group.rawCount,
    count: group.count,
    bytes: Number(group.bodyBytes),
    hashes: Buffer.from(group.bodyHashes).toString('hex'),
  }));
}

function plainResults(rows: readonly Row[]): unknown[] {
  const groups = Map.groupBy(rows, ({ tenant, bucket }) => tenant * 10 + bucket);
  const copies = Map.groupBy(rows, (row) => [row.tenant, row.content, row.occurrence].join());
  const kept = new Set(
    Array.from(
      copies.values(),
      (same) => same.toSorted((a, b) => a.ingestedMs - b.ingestedMs || a.offset - b.offset)[0],
    ),
  );
  return [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([, own]) => {
      const distinct = own.filter((row) => kept.has(row));
      const bodies = distinct.map(({ body }) => Buffer.from(body));
      return {
        key: [own[0]?.tenant, 4, own[0]?.bucket],
        raw: own.length,
        count: distinct.length,
        bytes: bodies.reduce((sum, body) => sum + body.length, 0),
        hashes: [...new Set(bodies.map((body) => hexOf(murmur(body))))].toSorted().join(''),
      };
    });
}
