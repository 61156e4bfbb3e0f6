import { readParquet, wasmMemory } from 'parquet-wasm/node';
import { expect, it } from 'vitest';
import { ArrowBatch } from '../../../batch/shard/arrow.ts';
import { IdCut } from '../../../batch/shard/cut.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanFile } from '../../support/spans.ts';

it('IdCut.ids() is empty for a range between two ids', () => {
  const file = writeSpanFile(randomSpans(seededRandom(4), 50, { traces: 5 }));
  const id = BigInt(`0x${file.rows[20]?.traceId}`);
  const none = new IdCut('TraceId', { idFrom: id + 1n, idTo: id + 2n });
  expect(withArrow(file, (arrow) => none.ids(arrow).length)).toBe(0);
  const exact = new IdCut('TraceId', { idFrom: id, idTo: id + 1n });
  const copies = file.rows.filter((row) => row.traceId === file.rows[20]?.traceId).length;
  expect(withArrow(file, (arrow) => exact.ids(arrow).length)).toBe(16 * copies);
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
