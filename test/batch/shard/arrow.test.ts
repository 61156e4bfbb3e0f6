import { readParquet, wasmMemory } from 'parquet-wasm/node';
import { describe, expect, it } from 'vitest';
import { ArrowBatch } from '../../../batch/shard/arrow.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile } from '../../support/spans.ts';

describe('ArrowBatch', () => {
  it('gives views of each type, as the rows that were written', () => {
    const { bytes, rows } = writeSpanFile(randomSpans(seededRandom(11), 500));
    withArrow(bytes, (arrow) => {
      expect(arrow.rows).toBe(500);
      expect(Buffer.from(arrow.fixed('SpanId', 8)).toString('hex')).toBe(
        rows.map((row) => row.spanId).join(''),
      );
      expect([...arrow.uint64('Duration')]).toEqual(rows.map((row) => row.durationNs));
      expect([...arrow.int64('Offset')]).toEqual(rows.map((row) => row.offset));
      expect([...arrow.int64('IngestedAt')].map(Number)).toEqual(rows.map((r) => r.ingestedMs));
      expect([...arrow.int32('Partition')]).toEqual(rows.map((row) => row.partition));
      expect([...arrow.uint32('ItemIndex')]).toEqual(rows.map((row) => row.itemIndex));
      const { codes, values } = arrow.dictionary('SpanName');
      expect([...codes].map((code) => values[code])).toEqual(rows.map((row) => row.operation));
    });
  });

  it('honours the offset of a sliced array', () => {
    const { bytes, rows } = writeSpanFile(randomSpans(seededRandom(12), 100));
    const part = rows.slice(30, 50);
    withArrow(
      bytes,
      (arrow) => {
        expect(arrow.rows).toBe(20);
        expect(Buffer.from(arrow.fixed('TraceId', 16)).toString('hex')).toBe(
          part.map((row) => row.traceId).join(''),
        );
        expect([...arrow.uint64('Duration')]).toEqual(part.map((row) => row.durationNs));
        const { codes, values } = arrow.dictionary('ServiceName');
        expect([...codes].map((code) => values[code])).toEqual(part.map((row) => row.service));
      },
      { offset: 30, length: 20 },
    );
  });

  it('refuses a column that is missing or of another type', () => {
    const { bytes } = writeSpanFile(randomSpans(seededRandom(13), 5));
    withArrow(bytes, (arrow) => {
      expect(() => arrow.uint64('Nope')).toThrow('Cannot read column Nope: it is not there');
      expect(() => arrow.uint64('Offset')).toThrow(
        'Cannot read column Offset: its Arrow type is l, wanted L',
      );
      expect(() => arrow.fixed('TraceId', 8)).toThrow('its Arrow type is w:16, wanted w:8');
      expect(() => arrow.dictionary('StatusMessage')).toThrow('wanted a dictionary');
      expect(() => arrow.dictionary('Partition')).toThrow('wanted a dictionary');
    });
  });
});

function withArrow(
  bytes: Uint8Array,
  use: (arrow: ArrowBatch) => void,
  slice?: { offset: number; length: number },
): void {
  const batch = readParquet(bytes, { batchSize: 10_000 }).recordBatch(0);
  const exported = (slice ? batch?.slice(slice.offset, slice.length) : batch)?.intoFFI();
  expect(exported).toBeDefined();
  if (exported === undefined) return;
  use(new ArrowBatch(wasmMemory(), exported.arrayAddr(), exported.schemaAddr()));
  exported.free();
}
