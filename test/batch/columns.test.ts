import { readParquet, wasmMemory } from 'parquet-wasm/node';
import { expect, it } from 'vitest';
import { ArrowBatch } from '../../batch/arrow.ts';
import { ColumnMap, shardNames } from '../../batch/columns.ts';
import { traceIdEnd } from '../../schemas/shard.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans, writeSpanFile, type SpanFile } from '../support/spans.ts';

it('ColumnMap.forward() gives the same string the same number in every file', () => {
  const names = shardNames();
  const map = new ColumnMap({ traceIdFrom: 0n, traceIdTo: traceIdEnd }, names);
  for (const seed of [1, 2, 3]) {
    const file = writeSpanFile(randomSpans(seededRandom(seed), 200));
    const services: (string | undefined)[] = [];
    const errors: number[] = [];
    const rows = withArrow(file, (arrow) =>
      map.forward(arrow, (columns) => {
        const values = names.services.values();
        services.push(...Array.from(columns.services, (code) => values[code]));
        errors.push(...columns.errors);
      }),
    );
    expect(rows).toBe(200);
    expect(services).toEqual(file.rows.map((row) => row.service));
    expect(errors).toEqual(file.rows.map((row) => Number(row.status === 'Error')));
  }
  expect(names.services.values()).toHaveLength(5);
});

it('ColumnMap.traceIds() is empty for a range between two ids', () => {
  const file = writeSpanFile(randomSpans(seededRandom(4), 50, { traces: 5 }));
  const id = BigInt(`0x${file.rows[20]?.traceId}`);
  const map = new ColumnMap({ traceIdFrom: id + 1n, traceIdTo: id + 2n }, shardNames());
  expect(withArrow(file, (arrow) => map.traceIds(arrow).length)).toBe(0);
  const exact = new ColumnMap({ traceIdFrom: id, traceIdTo: id + 1n }, shardNames());
  const copies = file.rows.filter((row) => row.traceId === file.rows[20]?.traceId).length;
  expect(withArrow(file, (arrow) => exact.traceIds(arrow).length)).toBe(16 * copies);
});

function withArrow<T>(file: SpanFile, use: (arrow: ArrowBatch) => T): T {
  const exported = readParquet(file.bytes, { batchSize: 10_000 }).recordBatch(0)?.intoFFI();
  if (exported === undefined) throw new Error('Bug: a file without rows');
  try {
    return use(new ArrowBatch(wasmMemory(), exported.arrayAddr(), exported.schemaAddr()));
  } finally {
    exported.free();
  }
}
