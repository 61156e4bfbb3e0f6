import { readParquet, wasmMemory } from 'parquet-wasm/node';
import { expect, it } from 'vitest';
import { ArrowBatch } from '../../../batch/arrow.ts';
import { IdCut } from '../../../batch/cut.ts';
import { ColumnMap, spanNames } from '../../../batch/traces/columns.ts';
import { idEnd } from '../../../schemas/shard.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanFile } from '../../support/spans.ts';

it('ColumnMap.columns() gives the same string the same number in every file', () => {
  const names = spanNames();
  const map = new ColumnMap(names);
  const cut = new IdCut('TraceId', { idFrom: 0n, idTo: idEnd });
  for (const seed of [1, 2, 3]) {
    const file = writeSpanFile(randomSpans(seededRandom(seed), 200));
    const services: (string | undefined)[] = [];
    const errors: number[] = [];
    const rows = withArrow(file, (arrow) => {
      const columns = map.columns({ arrow, ...cut.rows(arrow), hourMs: 0 });
      const values = names.services.values();
      services.push(...Array.from(columns.services, (code) => values[code]));
      errors.push(...columns.errors);
      return columns.rows;
    });
    expect(rows).toBe(200);
    expect(services).toEqual(file.rows.map((row) => row.service));
    expect(errors).toEqual(file.rows.map((row) => Number(row.status === 'Error')));
  }
  expect(names.services.values()).toHaveLength(5);
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
