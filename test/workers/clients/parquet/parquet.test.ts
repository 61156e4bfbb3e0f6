/** Reading row groups whole: what it asks the store for, and files that are none. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../../../aggregator-as/host.ts';
import { rowGroupRows } from '../../../../schemas/limits/archive.ts';
import { ArchiveFile } from '../../../../workers/clients/parquet/parquet.ts';
import { encodeParquet } from '../../../../workers/parquet.ts';
import { loadTranscoder, provenance, receipt } from '../../../aggregator-as/module.ts';
import { encodeTraces } from '../../../support/otlp.ts';

let bytes: Uint8Array;

beforeAll(async () => {
  const columns = new ItemColumns(await loadTranscoder(), 'traces');
  const startTimeUnixNano = String(BigInt(receipt.receivedMs) * 1_000_000n);
  for (let request = 0; request < 12; request += 1) {
    const spans = Array.from({ length: 10_000 }, (_, index) => {
      const id = Buffer.alloc(16);
      id.writeUInt32BE(request * 10_000 + index + 1, 12);
      return { traceId: id, spanId: id.subarray(8), name: `span ${index}`, startTimeUnixNano };
    });
    columns.add(encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] }), provenance);
  }
  const [batch] = columns.hours();
  if (!batch) throw new Error('there is no hour');
  bytes = encodeParquet(batch).bytes;
});

describe('ArchiveFile', () => {
  it('read() takes neighbouring row groups with one request behind that of the footer', async () => {
    const asked: [number, number][] = [];
    const read = (_: string, from: number, to: number) => {
      asked.push([from, to]);
      return Promise.resolve(bytes.slice(from, to));
    };
    const file = await ArchiveFile.open(read, 'file', bytes.length);
    expect(asked).toHaveLength(1);
    const [first, second] = await file.read([0, 1]);
    file.close();
    expect(asked).toHaveLength(2);
    const all = bytes.length;
    expect(asked.reduce((sum, [from, to]) => sum + to - from, 0)).toBeLessThan(all * 0.9);
    expect([first?.rows, second?.rows]).toEqual([rowGroupRows, rowGroupRows]);
    expect(second?.ids('TraceId', 16).bytes.subarray(12, 16)).toEqual(idOf(rowGroupRows + 1));
  });

  it('open() names the file that is none', async () => {
    await expect(ArchiveFile.open(zeros, 'some/key', 1000)).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringContaining('"some/key"'),
    });
  });

  it('read() gives what the reader of the store throws', async () => {
    let calls = 0;
    const read = (_: string, from: number, to: number) => {
      calls += 1;
      if (calls > 1) return Promise.reject(new Error('the store is gone'));
      return Promise.resolve(bytes.slice(from, to));
    };
    const file = await ArchiveFile.open(read, 'file', bytes.length);
    await expect(file.read([0])).rejects.toThrow('the store is gone');
  });
});

function zeros(_: string, from: number, to: number): Promise<Uint8Array> {
  return Promise.resolve(new Uint8Array(to - from));
}

function idOf(number: number): Uint8Array {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(number);
  return Uint8Array.from(id);
}
