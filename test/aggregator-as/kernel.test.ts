/** Tests of the batch kernel against the plain reference and against DuckDB. */
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, it } from 'vitest';
import { ShardKernel, type GroupResult } from '../../aggregator-as/kernel.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { kernelBaseBytes, kernelGroupBytes, kernelRowBytes } from '../../schemas/limits/batch.ts';
import { compileModule } from '../support/assembly.ts';
import {
  columnsOf,
  randomRows,
  referenceGroups,
  type KernelRow,
  type ReferenceGroup,
} from '../support/kernel.ts';
import { seededRandom } from '../support/random.ts';

const mib = 1024 * 1024;
const seed = 20_261_122;

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileModule('aggregator-as/assembly/aggregate.ts');
});

function plain(group: GroupResult): ReferenceGroup {
  return { ...group, durations: [...group.durations] };
}

function run(rows: readonly KernelRow[], batchRows = 8192, kindInIdentity = true) {
  const kernel = new ShardKernel(module, { memoryBytesMax: 256 * mib, kindInIdentity });
  for (let i = 0; i < rows.length; i += batchRows) {
    kernel.add(columnsOf(rows.slice(i, i + batchRows)));
  }
  return Array.from(kernel.finish(), plain);
}

const row: KernelRow = {
  traceId: 1n,
  spanId: 2n,
  kind: 3,
  tenant: 4,
  service: 5,
  operation: 6,
  error: 0,
  durationNs: 1000n,
  ingestedMs: 7n,
  partition: 8,
  offset: 9n,
  itemIndex: 10,
};
const max = 2n ** 64n - 1n;

/** Every case runs in the kernel and in the reference. */
const cases: { name: string; rows: KernelRow[] }[] = [
  { name: 'no rows', rows: [] },
  { name: 'one row', rows: [row] },
  { name: 'the same row twice', rows: [row, row] },
  { name: 'another tenant', rows: [row, { ...row, tenant: 9 }] },
  { name: 'another kind', rows: [row, { ...row, kind: 2 }] },
  { name: 'another last byte of the span id', rows: [row, { ...row, spanId: 3n }] },
  {
    name: 'another first byte of the trace id',
    rows: [row, { ...row, traceId: (1n << 127n) + 1n }],
  },
  { name: 'ingested earlier wins', rows: [row, { ...row, ingestedMs: -1n, durationNs: 5n }] },
  { name: 'lesser partition wins', rows: [row, { ...row, partition: -1, durationNs: 5n }] },
  { name: 'lesser offset wins', rows: [row, { ...row, offset: -9n, durationNs: 5n }] },
  { name: 'lesser item index wins', rows: [row, { ...row, itemIndex: 1, durationNs: 5n }] },
  { name: 'greatest item index', rows: [row, { ...row, itemIndex: 2 ** 32 - 1, durationNs: 5n }] },
  {
    name: 'content decides in the end',
    rows: [row, { ...row, operation: 2 }, { ...row, error: 1 }],
  },
  {
    name: 'a conflict is one with the copy kept in the end',
    rows: [
      { ...row, durationNs: 1n, ingestedMs: 9n },
      { ...row, durationNs: 2n, ingestedMs: 8n },
      { ...row, durationNs: 1n, ingestedMs: 6n },
      { ...row, durationNs: 1n, service: 7, ingestedMs: 7n },
      { ...row, durationNs: 1n, error: 1, ingestedMs: 7n },
    ],
  },
  {
    name: 'a group whose only row is dropped',
    rows: [row, { ...row, service: 1, ingestedMs: 8n }],
  },
  {
    name: 'durations of both ends, and a sum past 64 bits',
    rows: [max, 0n, max, max - 1n, 1n].map((durationNs, i) => ({
      ...row,
      spanId: BigInt(i),
      durationNs,
    })),
  },
  {
    name: 'codes of 32 bits, ascending',
    rows: [2 ** 32 - 1, 2 ** 31, 0].map((code) => ({ ...row, tenant: code, operation: code })),
  },
  {
    name: 'one trace twice in a group counts once',
    rows: [row, { ...row, spanId: 3n }, { ...row, spanId: 4n, traceId: 2n }],
  },
];

/** Sizes around the sort's changes of method, and distributions that are hard for a radix sort. */
function* durationSets(random: () => number): Iterable<bigint[]> {
  const big = (): bigint =>
    (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  for (const size of [2, 47, 48, 49, 255, 4095, 4096, 5000]) {
    yield Array.from({ length: size }, () => 77n);
    yield Array.from({ length: size }, (_, i) => BigInt(i));
    yield Array.from({ length: size }, (_, i) => max - BigInt(i));
    yield Array.from({ length: size }, () => big());
    yield Array.from({ length: size }, (_, i) => (i % 2 === 0 ? max : 0n));
    yield Array.from({ length: size }, () => 2n ** 63n + (big() & 0x7ff_000_000n));
  }
}

describe('ShardKernel', () => {
  for (const { name, rows } of cases) {
    it(`finish() agrees with the reference: ${name}`, () => {
      const wanted = referenceGroups(rows);
      expect(run(rows)).toEqual(wanted);
      expect(run(rows.toReversed(), 1)).toEqual(wanted);
      expect(run(rows, 8192, false)).toEqual(referenceGroups(rows, false));
    });
  }

  it(`finish() agrees with the reference on random rows, in any order (seed ${seed})`, () => {
    const random = seededRandom(seed);
    for (const count of [10, 100, 1000, 8191, 8192, 8193, 30_000]) {
      const rows = randomRows(count, random);
      const shuffled = rows.toSorted(() => random() - 0.5);
      const wanted = referenceGroups(rows);
      expect(run(rows, 10_000)).toEqual(wanted);
      expect(run(shuffled, 777)).toEqual(wanted);
      expect(run(rows, 10_000, false)).toEqual(referenceGroups(rows, false));
    }
  });

  it(`finish() sorts every size and shape of durations (seed ${seed})`, () => {
    const kernel = new ShardKernel(module, { memoryBytesMax: 64 * mib });
    for (const durations of durationSets(seededRandom(seed))) {
      kernel.reset();
      kernel.add(
        columnsOf(durations.map((durationNs, i) => ({ ...row, spanId: BigInt(i), durationNs }))),
      );
      const [group] = kernel.finish();
      expect(group?.durations).toEqual(BigUint64Array.from(durations).toSorted());
    }
  });

  it('finish() does not depend on the seed of the hashes', () => {
    const rows = randomRows(5000, seededRandom(seed));
    const wanted = referenceGroups(rows);
    for (const hashSeed of [1n, max, 0x1234_5678_9abc_def0n]) {
      const kernel = new ShardKernel(module, { memoryBytesMax: 64 * mib, hashSeed });
      kernel.add(columnsOf(rows));
      expect(Array.from(kernel.finish(), plain)).toEqual(wanted);
    }
  });

  it('finish() may be read twice, and reset() forgets everything', () => {
    const kernel = new ShardKernel(module, { memoryBytesMax: 64 * mib });
    for (const count of [3000, 10, 0, 20_000]) {
      const rows = randomRows(count, seededRandom(count));
      kernel.add(columnsOf(rows));
      expect(Array.from(kernel.finish(), plain)).toEqual(referenceGroups(rows));
      expect(Array.from(kernel.finish(), plain)).toEqual(referenceGroups(rows));
      expect(() => kernel.add(columnsOf(rows))).toThrow('finished');
      kernel.reset();
    }
  });

  it('add() reads columns that are views at odd places', () => {
    const rows = randomRows(100, seededRandom(1));
    const columns = columnsOf(rows);
    const traceIds = new Uint8Array(1603).subarray(3);
    traceIds.set(columns.traceIds);
    const kernel = new ShardKernel(module, { memoryBytesMax: 64 * mib });
    kernel.add({
      ...columns,
      traceIds,
      durations: new BigUint64Array([0n, ...columns.durations]).subarray(1),
    });
    expect(Array.from(kernel.finish(), plain)).toEqual(referenceGroups(rows));
  });

  it('keeps the bounds of limits.ts, and throws CAPACITY past the budget but never traps', () => {
    const columns = columnsOf(Array.from({ length: 4096 }, () => row));
    for (const [count, groups] of [
      [60, 1],
      [20, 81_920],
      [3, 12_288],
    ] as const) {
      const budget = kernelBaseBytes + count * 4096 * kernelRowBytes + groups * kernelGroupBytes;
      const kernel = new ShardKernel(module, { memoryBytesMax: budget });
      fill(kernel, columns, count, groups);
      const results = [...kernel.finish()];
      expect(results.length).toBe(groups);
      expect(results.reduce((sum, group) => sum + group.count, 0)).toBe(count * 4096);
      expect(kernel.memoryBytes).toBeLessThanOrEqual(budget);
      kernel.reset();
      expect(() => fill(kernel, columns, count * 3, groups * 3)).toThrow(TidemarkError);
      expect(() => kernel.finish()).toThrow('full');
      expect(kernel.memoryBytes).toBeLessThanOrEqual(budget);
      kernel.reset();
      kernel.add(columnsOf([row]));
      expect([...kernel.finish()].length).toBe(1);
    }
  });

  it('constructor throws CAPACITY when the budget leaves no room to begin', () => {
    for (let pages = 0; pages < 10; pages++) {
      const make = (): ShardKernel => new ShardKernel(module, { memoryBytesMax: pages * 65_536 });
      expect(make).toThrow(expect.objectContaining({ code: 'CAPACITY' }));
    }
  });

  it(`agrees with DuckDB on counts, distinct, sums and quantiles (seed ${seed})`, async () => {
    const rows = randomRows(20_000, seededRandom(seed)).map((one) => ({
      ...one,
      durationNs: one.durationNs >> 12n,
    }));
    const found = run(rows).map((group) => [
      group.tenant,
      group.service,
      group.operation,
      group.kind,
      group.count,
      group.errorCount,
      group.uniqueTraces,
      String(group.durationMinNs),
      String(group.durationMaxNs),
      String(group.durationSumNs),
      String(group.durations[(group.count - 1) >> 1]),
    ]);
    expect(found.filter((group) => group[4] !== 0)).toEqual(await askDuckDb(rows));
  });
});

/** Adds `count` batches of 4096 distinct spans in `groups` groups. */
function fill(
  kernel: ShardKernel,
  columns: ReturnType<typeof columnsOf>,
  count: number,
  groups: number,
): void {
  const ids = new DataView(columns.spanIds.buffer);
  for (let batch = 0; batch < count; batch++) {
    for (let i = 0; i < 4096; i++) {
      ids.setUint32(i * 8, batch * 4096 + i);
      columns.operations[i] = (batch * 4096 + i) % groups;
    }
    kernel.add(columns);
  }
}

async function askDuckDb(rows: readonly KernelRow[]): Promise<unknown[][]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`CREATE TABLE spans (trace HUGEINT, span UBIGINT, kind UTINYINT, tenant UINTEGER,
    service UINTEGER, operation UINTEGER, error UTINYINT, duration UBIGINT, ingested BIGINT,
    part INTEGER, off BIGINT, item UINTEGER)`);
  const appender = await connection.createAppender('spans');
  for (const one of rows) {
    appender.appendHugeInt(one.traceId);
    appender.appendUBigInt(one.spanId);
    appender.appendUTinyInt(one.kind);
    appender.appendUInteger(one.tenant);
    appender.appendUInteger(one.service);
    appender.appendUInteger(one.operation);
    appender.appendUTinyInt(one.error);
    appender.appendUBigInt(one.durationNs);
    appender.appendBigInt(one.ingestedMs);
    appender.appendInteger(one.partition);
    appender.appendBigInt(one.offset);
    appender.appendUInteger(one.itemIndex);
    appender.endRow();
  }
  appender.closeSync();
  const reader = await connection.runAndReadAll(`
    SELECT tenant, service, operation, kind, count(*)::INTEGER, sum(error)::INTEGER,
      count(DISTINCT trace)::INTEGER, min(duration)::VARCHAR, max(duration)::VARCHAR,
      sum(duration)::VARCHAR, quantile_disc(duration, 0.5)::VARCHAR
    FROM (SELECT * FROM spans QUALIFY row_number() OVER (PARTITION BY tenant, trace, span, kind
      ORDER BY ingested, part, off, item, duration, error, service, operation) = 1)
    GROUP BY ALL ORDER BY ALL`);
  connection.closeSync();
  return reader.getRowsJS();
}
