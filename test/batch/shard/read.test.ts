import { tableFromIPC } from 'apache-arrow';
import { ParquetFile, readParquet } from 'parquet-wasm/node';
import { describe, expect, it } from 'vitest';
import { readShard } from '../../../batch/shard/read.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { footerBytesGuess, rangeGapBytesMax } from '../../../schemas/limits/batch.ts';
import { idEnd, type ShardFile, type ShardRange } from '../../../schemas/shard.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanRow } from '../../support/spans.ts';

const spanColumns = [
  'SpanId',
  'SpanName',
  'SpanKind',
  'ServiceName',
  'Duration',
  'StatusCode',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];
const spans = { id: 'TraceId', others: spanColumns };
const everything = { idFrom: 0n, idTo: idEnd };

describe('readShard()', () => {
  it('hands over every row of every file, as another Parquet reader sees them', async () => {
    const store = new Map<string, Uint8Array>();
    const random = seededRandom(1);
    const files = [3, 40, 1].map((rows, index) => {
      const file = writeSpanFile(randomSpans(random, rows), 16);
      store.set(`f${index}`, file.bytes);
      return shardFile(`f${index}`, file.bytes, file.rowGroups.length);
    });
    const rows = await collect(store, { ...everything, files });
    const wanted = [...store.values()].flatMap((bytes) =>
      tableFromIPC(readParquet(bytes).intoIPCStream())
        .toArray()
        .map((row) => ({
          traceId: Buffer.from(row.TraceId).toString('hex'),
          spanId: Buffer.from(row.SpanId).toString('hex'),
          kind: row.SpanKind,
          tenant: row.TenantId,
          service: row.ServiceName,
          operation: row.SpanName,
          error: Number(row.StatusCode === 'Error'),
          durationNs: row.Duration,
          ingestedMs: BigInt(row.IngestedAt),
          partition: row.Partition,
          offset: row.Offset,
          itemIndex: row.ItemIndex,
        })),
    );
    expect(rows).toEqual(wanted);
  });

  it('keeps only trace ids of the range, whatever row groups it shares', async () => {
    const file = writeSpanFile(randomSpans(seededRandom(2), 1000), 100);
    const store = new Map([['f', file.bytes]]);
    const files = [shardFile('f', file.bytes, 10)];
    const ids = file.rows.map((row) => BigInt(`0x${row.traceId}`));
    const cuts = [0n, 1n, ids[0] ?? 0n, ids[500] ?? 0n, (ids[700] ?? 0n) + 1n, idEnd];
    const sorted = cuts.toSorted((a, b) => (a < b ? -1 : 1));
    for (const [index, idFrom] of sorted.slice(0, -1).entries()) {
      const idTo = sorted[index + 1] ?? 0n;
      const rows = await collect(store, { idFrom, idTo, files });
      const wanted = ids.filter((id) => id >= idFrom && id < idTo);
      expect(rows.map((row) => BigInt(`0x${row.traceId}`))).toEqual(wanted);
    }
  });

  it('requests the footer and the needed columns of the needed row groups, no more', async () => {
    const file = writeSpanFile(randomSpans(seededRandom(3), 40_000), 10_000);
    const parquet = await ParquetFile.fromFile(new Blob([file.bytes]));
    const needed = parquet
      .metadata()
      .rowGroup(2)
      .columns()
      .filter((column) => ['TraceId', ...spanColumns].includes(column.columnPath()[0] ?? ''))
      .reduce((sum, column) => sum + column.compressedSize(), 0);
    const requests: number[] = [];
    const read = async (_: string, start: number, end: number) => {
      requests.push(end - start);
      return file.bytes.subarray(start, end);
    };
    const files = [{ key: 'f', bytes: file.bytes.length, hourMs: 0, rowGroups: [2] }];
    await readShard(read, { ...everything, files }, spans, () => undefined);
    const bytes = requests.reduce((sum, count) => sum + count, 0);
    expect(requests.length).toBeLessThanOrEqual(4);
    expect(bytes).toBeLessThan(needed + footerBytesGuess + 2 * rangeGapBytesMax);
    expect(bytes).toBeLessThan(file.bytes.length / 3);
  });

  it('fails with the fault of the store, and reads on afterwards', async () => {
    const file = writeSpanFile(randomSpans(seededRandom(4), 5000), 1000);
    const fault = new TidemarkError('OBJECT_STORE', 'Cannot read "f"', { retryable: true });
    const files = [shardFile('f', file.bytes, 5)];
    for (const working of [0, 1]) {
      let calls = 0;
      const read = async (_: string, start: number, end: number) => {
        if (calls >= working) throw fault;
        calls += 1;
        return file.bytes.subarray(start, end);
      };
      const reading = readShard(read, { ...everything, files }, spans, () => undefined);
      await expect(reading).rejects.toBe(fault);
    }
    const rows = await collect(new Map([['f', file.bytes]]), { ...everything, files });
    expect(rows).toHaveLength(5000);
  });

  it('passes the fault of the kernel on', async () => {
    const file = writeSpanFile(randomSpans(seededRandom(5), 10));
    const fault = new TidemarkError('CAPACITY', 'Cannot keep 10 rows');
    const files = [shardFile('f', file.bytes, 1)];
    const read = async (_: string, start: number, end: number) => file.bytes.subarray(start, end);
    const reading = readShard(read, { ...everything, files }, spans, () => {
      throw fault;
    });
    await expect(reading).rejects.toBe(fault);
  });

  it('names a file that is no Parquet, lacks a column or is not sorted', async () => {
    const garbage = new Uint8Array(1000).fill(7);
    await expect(collectFile(garbage)).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringContaining('Cannot read "f": ') as string,
    });
    const rows = randomSpans(seededRandom(6), 10, { traces: 10 });
    await expect(collectFile(writeSpanFile(rows, 10, ['Partition']).bytes)).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringContaining('Partition') as string,
    });
    await expect(collectFile(writeSpanFile(rows, 10, [], 'unsorted').bytes)).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringContaining('is not in the order of TraceId') as string,
    });
  });
});

function collectFile(bytes: Uint8Array) {
  return collect(new Map([['f', bytes]]), { ...everything, files: [shardFile('f', bytes, 1)] });
}

async function collect(store: ReadonlyMap<string, Uint8Array>, shard: ShardRange) {
  const rows: (Omit<SpanRow, 'status' | 'timestampNs' | 'ingestedMs'> & {
    ingestedMs: bigint;
    error: number;
  })[] = [];
  const read = async (key: string, start: number, end: number) =>
    (store.get(key) ?? new Uint8Array()).subarray(start, end);
  const report = await readShard(read, shard, spans, (slice) => {
    const { arrow, from, to } = slice;
    const text = (column: string) => {
      const { codes, values } = arrow.dictionary(column);
      return (row: number) => values[codes[row] ?? -1] ?? '?';
    };
    const [kinds, tenants, services] = [text('SpanKind'), text('TenantId'), text('ServiceName')];
    const [operations, statuses] = [text('SpanName'), text('StatusCode')];
    for (let row = from; row < to; row += 1) {
      const hex = (column: string, width: number) =>
        Buffer.from(arrow.fixed(column, width).subarray(width * row, width * row + width)).toString(
          'hex',
        );
      rows.push({
        traceId: hex('TraceId', 16),
        spanId: hex('SpanId', 8),
        kind: kinds(row),
        tenant: tenants(row),
        service: services(row),
        operation: operations(row),
        error: Number(statuses(row) === 'Error'),
        durationNs: arrow.uint64('Duration')[row] ?? -1n,
        ingestedMs: arrow.int64('IngestedAt')[row] ?? -1n,
        partition: arrow.int32('Partition')[row] ?? -9,
        offset: arrow.int64('Offset')[row] ?? -1n,
        itemIndex: arrow.uint32('ItemIndex')[row] ?? -1,
      });
    }
  });
  expect(report.rows).toBe(rows.length);
  return rows;
}

function shardFile(key: string, bytes: Uint8Array, rowGroups: number): ShardFile {
  return {
    key,
    bytes: bytes.length,
    hourMs: 0,
    rowGroups: Array.from({ length: rowGroups }, (_, i) => i),
  };
}
