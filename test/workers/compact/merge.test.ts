/** Merging sorted runs: order, bounds, and input that is not what it should be. */
import { describe, expect, it } from 'vitest';
import { bytesOf, type ArrowRows } from '../../../workers/compact/arrow.ts';
import { FileWriter } from '../../../workers/compact/file.ts';
import { columnOf, KeyedRows } from '../../../workers/compact/keys.ts';
import { Merge } from '../../../workers/compact/merge.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanRow } from '../../support/spans.ts';

const seed = 20_261_122;

interface Made {
  readonly bytes: Uint8Array;
  readonly groupRows: number[];
}

function made(rows: readonly SpanRow[], groupRows = 50, order: 'sorted' | 'unsorted' = 'sorted') {
  const file = writeSpanFile(rows, groupRows, [], order);
  return { bytes: file.bytes, groupRows: file.rowGroups.map((group) => group.rows) };
}

function open(runs: readonly (readonly Made[])[], memoryBytes = 2 ** 30) {
  const files = new Map<string, Uint8Array>();
  const inputs = runs.map((run, index) => ({
    files: run.map(({ bytes, groupRows }, at) => {
      files.set(`${index}-${at}`, bytes);
      return { key: `${index}-${at}`, bytes: bytes.length, groupRows };
    }),
  }));
  const read = async (key: string, start: number, end: number) =>
    files.get(key)?.subarray(start, end) ?? new Uint8Array();
  return Merge.open(inputs, { signal: 'traces', read, memoryBytes });
}

async function all(merge: Merge): Promise<ArrowRows[]> {
  const batches: ArrowRows[] = [];
  for await (const batch of merge.batches()) batches.push(batch);
  merge.close();
  return batches;
}

/** Trace and span id of each row, as hex. */
function idsOf(batches: readonly ArrowRows[]): string[] {
  return batches.flatMap((batch) => {
    const hex = (name: string, width: number) => {
      const { data } = columnOf(batch, name, 'f');
      return Array.from({ length: batch.rows }, (_, row) =>
        Buffer.from(data.subarray(row * width, (row + 1) * width)).toString('hex'),
      );
    };
    const spanIds = hex('SpanId', 8);
    return hex('TraceId', 16).map((trace, row) => `${trace} ${spanIds[row]}`);
  });
}

function spans(count: number, at: number): SpanRow[] {
  return randomSpans(seededRandom(seed + at), count, { offset: BigInt(at * 10_000) });
}

describe('Merge', () => {
  it('gives every row once, in the order of trace ids, of any number of runs', async () => {
    for (const sizes of [[1], [300], [1, 300, 77], Array.from({ length: 40 }, (_, at) => at + 1)]) {
      const rows = sizes.map((size, index) => spans(size, index));
      const merge = await open(rows.map((own) => [made(own)]));
      expect(merge.taken).toHaveLength(sizes.length);
      const ids = idsOf(await all(merge));
      const traces = ids.map((id) => id.slice(0, 32));
      expect(traces).toEqual(traces.toSorted());
      const wanted = rows.flat().map(({ traceId, spanId }) => `${traceId} ${spanId}`);
      expect(ids.toSorted()).toEqual(wanted.toSorted());
    }
  });

  it('goes from file to file of a run, and puts equal rows in the order of their arrival', async () => {
    const sorted = writeSpanFile(spans(200, 1)).rows;
    const [first, rest] = [sorted.slice(0, 90), sorted.slice(90)];
    const later = sorted.map((row) => ({ ...row, ingestedMs: row.ingestedMs + 1 }));
    const merge = await open([[made(later)], [made(first), made(rest)]]);
    const batches = await all(merge);
    expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(400);
    const times = batches.flatMap((batch) => {
      const { data } = columnOf(batch, 'IngestedAt', 'f');
      return [...new BigInt64Array(data.buffer, data.byteOffset, batch.rows)];
    });
    const ids = idsOf(batches);
    for (let row = 1; row < ids.length; row += 1) {
      if (ids[row] !== ids[row - 1]) continue;
      expect(times[row]).toBeGreaterThanOrEqual(times[row - 1] ?? 0n);
    }
  });

  it('takes as many runs as memory has room for, two at least', async () => {
    const runs = [100, 100, 100, 100].map((size, at) => [made(spans(size, at))]);
    const one = await open(runs, 1);
    expect(one.taken).toEqual([0, 1]);
    expect((await all(one)).reduce((sum, { rows }) => sum + rows, 0)).toBe(200);
    const [batch] = await all(await open([[made(spans(50, 0))]]));
    const bytes = batch?.columns.reduce((sum, column) => sum + bytesOf(column), 0) ?? 0;
    const some = await open(runs, 3.5 * bytes);
    expect(some.taken).toEqual([0, 1, 2]);
    some.close();
  });

  it('leaves out runs whose columns are others', async () => {
    const [a, b, c] = [0, 1, 2].map((at) => spans(30, at));
    const other = writeSpanFile(b ?? [], 50, ['Timestamp']);
    const odd = { bytes: other.bytes, groupRows: other.rowGroups.map(({ rows }) => rows) };
    const merge = await open([[made(a ?? [])], [odd], [made(c ?? [])]]);
    expect(merge.taken).toEqual([0, 2]);
    expect(idsOf(await all(merge))).toHaveLength(60);
  });

  it('throws CORRUPT_ARCHIVE for rows, row groups and files that are not in order', async () => {
    const sorted = writeSpanFile(spans(200, 7)).rows;
    const swapped = [...sorted.slice(50, 100), ...sorted.slice(0, 50)];
    const expected = { code: 'CORRUPT_ARCHIVE', retryable: false };
    const inGroup = open([[made(sorted.toReversed(), 50, 'unsorted')]]);
    await expect(inGroup).rejects.toMatchObject(expected);
    const ofGroups = await open([[made(swapped, 50, 'unsorted')]]);
    await expect(all(ofGroups)).rejects.toMatchObject(expected);
    const ofFiles = await open([[made(sorted.slice(100)), made(sorted.slice(0, 100))]]);
    await expect(all(ofFiles)).rejects.toMatchObject(expected);
  });
});

describe('KeyedRows', () => {
  it('compares as the bytes of both ids do', async () => {
    const [batch] = await all(await open([[made(spans(60, 3), 60)]]));
    if (!batch) throw new Error('no rows');
    const rows = new KeyedRows('traces', batch, 'f');
    const ids = idsOf([batch]);
    for (let left = 0; left < ids.length; left += 1) {
      for (let right = 0; right < ids.length; right += 1) {
        const [a, b] = [ids[left] ?? '', ids[right] ?? ''];
        if (a === b) continue;
        expect(Math.sign(rows.compare(left, rows, right))).toBe(a < b ? -1 : 1);
        if (a.slice(0, 32) === b.slice(0, 32)) expect(rows.compareIds(left, rows, right)).toBe(0);
      }
    }
  });
});

describe('FileWriter', () => {
  it('says of its row groups, times and tenants what the rows say', async () => {
    const rows = spans(500, 4);
    const writer = new FileWriter('traces', '1');
    for (const batch of await all(await open([[made(rows)]]))) await writer.add(batch);
    const file = await writer.finish();
    const ids = rows.map(({ traceId }) => traceId).toSorted();
    const times = rows.map(({ timestampNs }) => timestampNs).toSorted((a, b) => (a < b ? -1 : 1));
    expect(file).toMatchObject({
      rows: 500,
      rowGroups: [{ rows: 500, idMin: ids[0], idMax: ids.at(-1) }],
      timeMinNs: times[0],
      timeMaxNs: times.at(-1),
      tenants: [...new Set(rows.map(({ tenant }) => tenant))].toSorted(),
    });
    expect(Buffer.from(file.bytes.subarray(0, 4)).toString()).toBe('PAR1');
  });

  it('ends without a file when it is abandoned, at any point', async () => {
    const batches = await all(await open([[made(spans(20, 5))]]));
    await new FileWriter('traces', '1').abandon();
    const begun = new FileWriter('traces', '1');
    for (const batch of batches) await begun.add(batch);
    await begun.abandon();
  });
});
