/** Which of several copies stays, against a plain count over what was sent. */
import { describe, expect, it } from 'vitest';
import { ArchiveFile } from '../../../workers/clients/parquet/parquet.ts';
import { readRange } from '../../../workers/clients/parquet/range.ts';
import { findDuplicates } from '../../../workers/replay/duplicates.ts';
import { planReplay } from '../../../workers/replay/plan.ts';
import type { ReplayQuery } from '../../../workers/replay/plan.ts';
import { metricOf, metricsRequest } from '../../aggregator-as/pointmaker.ts';
import { receivedMs } from '../../aggregator-as/generate.ts';
import { fixed64Field, message } from '../../aggregator-as/wire.ts';
import { FaultyStore } from '../../support/faults.ts';
import { archive } from '../../support/history.ts';
import { encodeTraces } from '../../support/otlp.ts';
import { seededRandom } from '../../support/random.ts';

const query: ReplayQuery = {
  signals: ['traces', 'metrics'],
  fromMs: receivedMs - 86_400_000,
  toMs: receivedMs + 86_400_000,
  tenantId: undefined,
  service: undefined,
};
const startTimeUnixNano = String(BigInt(receivedMs) * 1_000_000n);

/** Values of a column in the rows that stay. */
async function kept<T>(
  store: FaultyStore,
  signal: 'traces' | 'metrics',
  rowsMax: number | undefined,
  valueOf: (columns: Awaited<ReturnType<ArchiveFile['read']>>[number], row: number) => T,
): Promise<T[]> {
  const files = await planReplay(store, { ...query, signals: [signal] });
  const options = { query, ...(rowsMax !== undefined && { rowsMax }) };
  const duplicates = await findDuplicates(store, files, options);
  const values: T[] = [];
  for (const file of files) {
    const bits = duplicates.get(file.key);
    const opened = await ArchiveFile.open(readRange(store), file.key, file.bytes);
    const [columns] = await opened.read([0]);
    if (!columns) throw new Error('there are no rows');
    for (let row = 0; row < columns.rows; row += 1) {
      const isLeftOut = ((bits?.[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
      if (!isLeftOut) values.push(valueOf(columns, row));
    }
    opened.close();
  }
  return values;
}

describe('findDuplicates()', () => {
  it.each([undefined, 37])(
    'keeps of each span what was received first, in parts of %s rows',
    async (rowsMax) => {
      const store = new FaultyStore(new Map());
      const random = seededRandom(3);
      const first = new Map<number, number>();
      for (let flush = 0; flush < 4; flush += 1) {
        const atMs = receivedMs + Math.floor(random() * 1000);
        const numbers = new Set(Array.from({ length: 100 }, () => Math.floor(random() * 200)));
        const spans = [...numbers].map((number) => {
          const id = Buffer.alloc(16, 1);
          id.writeUInt32BE(number);
          return { traceId: id, spanId: id.subarray(0, 8), startTimeUnixNano };
        });
        const request = encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
        await archive(store, 'traces', [{ receivedMs: atMs, request }]);
        for (const number of numbers) {
          first.set(number, Math.min(first.get(number) ?? Infinity, atMs));
        }
      }
      const stay = await kept(store, 'traces', rowsMax, (columns, row) => {
        const id = Buffer.from(columns.ids('TraceId', 16).bytes.subarray(row * 16, row * 16 + 4));
        return [id.readUInt32BE(), Number(columns.longs('IngestedAt').values[row])] as const;
      });
      expect(stay).toHaveLength(first.size);
      expect(new Map(stay)).toEqual(first);
    },
  );

  it('keeps the last version of a metric point', async () => {
    const store = new FaultyStore(new Map());
    const timeNs = BigInt(receivedMs) * 1_000_000n;
    const versions = [
      [30, 3n],
      [10, 1n],
      [20, 2n],
    ] as const;
    for (const [delayMs, value] of versions) {
      const point = message(fixed64Field(3, timeNs), fixed64Field(6, value));
      const request = metricsRequest(metricOf('gauge', point));
      await archive(store, 'metrics', [{ receivedMs: receivedMs + delayMs, request }]);
    }
    const stay = await kept(store, 'metrics', undefined, (columns, row) =>
      Number(columns.longs('ValueInt').values[row]),
    );
    expect(stay).toEqual([3]);
  });
});
