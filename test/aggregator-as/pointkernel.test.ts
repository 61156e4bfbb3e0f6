import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  PointKernel,
  pointKinds,
  pointModes,
  type PointColumns,
  type SeriesResult,
} from '../../aggregator-as/pointkernel.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 11);
const periodMs = Date.parse('2026-10-01');
const hourNs = 3_600_000_000_000n;
const dayNs = BigInt(periodMs) * 1_000_000n;
const options = { memoryBytesMax: 64 * 1024 * 1024, periodMs, windowMs: periodMs - 3_600_000 };
let module: WebAssembly.Module;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  const url = new URL('../../aggregator-as/build/aggregatepoints.wasm', import.meta.url);
  module = await WebAssembly.compile(await readFile(url));
});

interface Row {
  readonly series?: number;
  readonly startNs?: bigint;
  readonly timeNs: bigint;
  readonly value: number | bigint;
  readonly mode?: number;
  readonly offset?: number;
}

describe('PointKernel', () => {
  it('adds ints exactly and rounds once, as a BigInt becomes a number', () => {
    const random = seededRandom(seed);
    for (let round = 0; round < 300; round += 1) {
      const count = 1 + Math.floor(random() * 20);
      const values = Array.from({ length: count }, () => randomInt(random));
      const kernel = new PointKernel(module, options);
      add(
        kernel,
        values.map((value, i) => ({ timeNs: dayNs + BigInt(i), value, mode: pointModes.delta })),
      );
      const [series] = kernel.finish();
      const sum = values.reduce((total, value) => total + value, 0n);
      expect(series?.hours[0]?.increase).toBe(Number(sum));
    }
  });

  it('gives the same figures in any order and any batches', () => {
    const random = seededRandom(seed + 1);
    const rows = Array.from({ length: 20_000 }, (_, offset): Row => ({
      series: Math.floor(random() ** 3 * 300),
      startNs: dayNs - BigInt(Math.floor(random() * 3)) * hourNs,
      timeNs:
        dayNs + BigInt(Math.floor(random() * 24)) * hourNs + BigInt(Math.floor(random() * 40)),
      value: random() < 0.5 ? random() * 100 : BigInt(Math.floor(random() * 100)),
      offset,
    }));
    const results = [1, 5000].map((size) => {
      const kernel = new PointKernel(module, { ...options, hashSeed: BigInt(size) });
      const order = size === 1 ? rows : rows.toSorted((a, b) => Number(a.value) - Number(b.value));
      for (let from = 0; from < order.length; from += size * 10) {
        add(kernel, order.slice(from, from + size * 10));
      }
      return withoutOrdinals(kernel.finish());
    });
    expect(results[1]).toEqual(results[0]);
    const distinct = new Set(rows.map((row) => `${row.series} ${row.startNs} ${row.timeNs}`));
    const points = results[0]?.flatMap(({ hours }) => hours.map((hour) => hour.points));
    expect(points?.reduce((sum, count) => sum + count, 0)).toBe(distinct.size);
  });

  it('orders values of all signs and sizes for quantiles', () => {
    const random = seededRandom(seed + 2);
    const values = [-0, 0, -Infinity, Infinity, 5e-324, -5e-324, 1e308, -1e308];
    while (values.length < 3000) values.push((random() - 0.5) * 10 ** Math.floor(random() * 300));
    const kernel = new PointKernel(module, options);
    add(
      kernel,
      values.map((value, i) => ({ timeNs: dayNs + BigInt(i), value })),
    );
    const [series] = kernel.finish();
    const sorted = values.toSorted((a, b) => a - b);
    const at = (q: number) => {
      const position = q * (values.length - 1) + 1;
      const [low, high] = [
        sorted[Math.floor(position) - 1] ?? 0,
        sorted[Math.floor(position)] ?? 0,
      ];
      return low + (position - Math.floor(position)) * (high - low);
    };
    const hour = series?.hours[0];
    expect([hour?.p50, hour?.p95, hour?.p99]).toEqual([at(0.5), at(0.95), at(0.99)]);
    expect([hour?.valueMin, hour?.valueMax]).toEqual([-Infinity, Infinity]);
  });

  it('tells of each series once, gives nothing for nothing, and CAPACITY past the bound', () => {
    const kernel = new PointKernel(module, options);
    expect([...kernel.finish()]).toEqual([]);
    kernel.reset();
    const rows = Array.from({ length: 9000 }, (_, i) => {
      return { series: i % 3000, timeNs: dayNs + BigInt(i), value: 1 };
    });
    const heard = add(kernel, rows);
    expect(heard).toEqual(Array.from({ length: 3000 }, (_, i) => i));
    const found = [...kernel.finish()];
    expect(found.map(({ ordinal }) => ordinal).toSorted((a, b) => a - b)).toEqual(heard);
    const hashes = found.map(({ seriesHash }) => seriesHash);
    expect(hashes).toEqual(hashes.toSorted());
    const small = new PointKernel(module, { ...options, memoryBytesMax: 2 * 1024 * 1024 });
    expect(() => {
      for (let i = 0; i < 10; i += 1) add(small, rows);
    }).toThrow('it passes the limit of 2097152 bytes');
  });
});

function randomInt(random: () => number): bigint {
  const bits = Math.floor(random() * 64);
  const word = BigInt(Math.floor(random() * 2 ** 32)) * BigInt(Math.floor(random() * 2 ** 32));
  const size = word & ((1n << BigInt(bits)) - 1n);
  return random() < 0.5 ? -size - 1n : size;
}

/** Hashes of the series are their numbers, spread. Returns the rows that were told to be new. */
function add(kernel: PointKernel, rows: readonly Row[]): number[] {
  const heard: number[] = [];
  kernel.add(columnsOf(rows), (row) => heard.push(row));
  return heard;
}

function columnsOf(rows: readonly Row[]): PointColumns {
  const hashes = Buffer.alloc(rows.length * 16);
  const values = new BigInt64Array(rows.length);
  const doubles = new Float64Array(values.buffer);
  for (const [i, { series = 0, value }] of rows.entries()) {
    hashes.writeUInt32BE(Math.imul(series, 2_654_435_761) >>> 0, i * 16);
    if (typeof value === 'bigint') values[i] = value;
    else doubles[i] = value;
  }
  const zeros = () => new Float64Array(rows.length);
  return {
    rows: rows.length,
    seriesHashes: hashes,
    startsNs: BigInt64Array.from(rows, (row) => row.startNs ?? 0n),
    timesNs: BigInt64Array.from(rows, (row) => row.timeNs),
    values,
    ingestedMs: new BigInt64Array(rows.length),
    offsets: BigInt64Array.from(rows, (row) => BigInt(row.offset ?? 0)),
    counts: new BigUint64Array(rows.length),
    sums: zeros(),
    mins: zeros(),
    maxs: zeros(),
    tenants: new Uint32Array(rows.length),
    partitions: new Int32Array(rows.length),
    itemIndexes: new Uint32Array(rows.length),
    kinds: Uint8Array.from(rows, ({ value }) =>
      typeof value === 'bigint' ? pointKinds.int : pointKinds.double,
    ),
    modes: Uint8Array.from(rows, (row) => row.mode ?? pointModes.cumulative),
    monotonic: new Uint8Array(rows.length).fill(1),
    marks: new Uint8Array(rows.length),
    boundOffsets: new Int32Array(rows.length + 1),
    bounds: new Float64Array(),
    bucketOffsets: new Int32Array(rows.length + 1),
    buckets: new BigUint64Array(),
  };
}

function withoutOrdinals(series: Iterable<SeriesResult>) {
  return Array.from(series, ({ seriesHash, hours }) => ({ seriesHash, hours }));
}
