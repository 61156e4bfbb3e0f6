/** Tests of the merge of sorted files against the plain reference: partials byte for byte. */
import { beforeAll, describe, expect, it } from 'vitest';
import { idEnd } from '../../../schemas/shard.ts';
import { compileModule } from '../../support/assembly.ts';
import { dealt, mergedPartial } from '../../support/merged.ts';
import { referencePartial } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanRow } from '../../support/spans.ts';

const seed = 20_261_123;

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileModule('aggregator-as/assembly/aggregate.ts');
});

const row: SpanRow = {
  tenant: 'a',
  traceId: '0'.repeat(31).concat('1'),
  spanId: '0000000000000002',
  kind: 'Server',
  service: 's',
  operation: 'o',
  status: 'Unset',
  timestampNs: 1n,
  durationNs: 1000n,
  ingestedMs: 7,
  partition: 8,
  offset: 9n,
  itemIndex: 10,
};
const max = 2n ** 64n - 1n;

/** Every case is merged in several layouts, and goes through the reference. */
const cases: { name: string; rows: SpanRow[] }[] = [
  { name: 'one row', rows: [row] },
  { name: 'the same row twice', rows: [row, row] },
  { name: 'another tenant', rows: [row, { ...row, tenant: 'b' }] },
  { name: 'another kind', rows: [row, { ...row, kind: 'Client' }] },
  { name: 'another last byte of the span id', rows: [row, { ...row, spanId: '0000000000000003' }] },
  {
    name: 'another first byte of the trace id',
    rows: [row, { ...row, traceId: `f${row.traceId.slice(1)}` }],
  },
  { name: 'ingested earlier wins', rows: [row, { ...row, ingestedMs: -1, durationNs: 5n }] },
  { name: 'lesser partition wins', rows: [row, { ...row, partition: -1, durationNs: 5n }] },
  { name: 'lesser offset wins', rows: [row, { ...row, offset: -9n, durationNs: 5n }] },
  { name: 'lesser item index wins', rows: [row, { ...row, itemIndex: 1, durationNs: 5n }] },
  { name: 'greatest item index', rows: [row, { ...row, itemIndex: 2 ** 32 - 1, durationNs: 5n }] },
  {
    name: 'content decides in the end',
    rows: [row, { ...row, operation: 'a' }, { ...row, status: 'Error' }, { ...row, service: 'ü' }],
  },
  {
    name: 'a conflict is one with the copy kept in the end',
    rows: [
      { ...row, durationNs: 1n, ingestedMs: 9 },
      { ...row, durationNs: 2n, ingestedMs: 8 },
      { ...row, durationNs: 1n, ingestedMs: 6 },
      { ...row, durationNs: 1n, service: 't', ingestedMs: 7 },
      { ...row, durationNs: 1n, status: 'Error', ingestedMs: 7 },
    ],
  },
  {
    name: 'a group whose only row is dropped',
    rows: [row, { ...row, service: 'a', ingestedMs: 8 }],
  },
  {
    name: 'durations of both ends, and a sum past 64 bits',
    rows: [max, 0n, max, max - 1n, 1n, 127n, 128n].map((durationNs, i) => ({
      ...row,
      spanId: String(i).padStart(16, '0'),
      durationNs,
    })),
  },
  {
    name: 'one trace twice in a group counts once',
    rows: [
      row,
      { ...row, spanId: '0000000000000003' },
      { ...row, spanId: '0000000000000004', traceId: row.traceId.replace('1', '2') },
    ],
  },
];

/** Requests that it takes to merge these rows, a file each. */
async function costOf(rows: readonly SpanRow[]): Promise<number> {
  const files = rows.map((one) => writeSpanFile([one]));
  return (await mergedPartial(module, files)).cost.requests;
}

describe('mergeShard()', () => {
  for (const { name, rows } of cases) {
    it(`agrees with the reference: ${name}`, async () => {
      const layouts = [
        [writeSpanFile(rows)],
        [writeSpanFile(rows, 1)],
        rows.map((one) => writeSpanFile([one])),
        rows.toReversed().map((one) => writeSpanFile([one])),
      ];
      for (const kindInIdentity of [true, false]) {
        const wanted = referencePartial(rows, kindInIdentity);
        for (const files of layouts) {
          const { partial } = await mergedPartial(module, files, { kindInIdentity });
          expect(partial.equals(wanted)).toBe(true);
        }
      }
    });
  }

  it(`agrees however rows are dealt out to files and row groups (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    for (const [count, files, group] of [
      [200, 1, 7],
      [500, 3, 50],
      [3000, 20, 64],
      [4000, 2, 4000],
    ] as const) {
      const rows = randomSpans(random, count, { traces: Math.max(1, count >> 4) });
      const wanted = referencePartial(rows);
      const { partial } = await mergedPartial(module, dealt(rows, files, random, group));
      expect(partial.equals(wanted), `${count} rows, ${files} files`).toBe(true);
    }
  });

  it(`takes one giant trace, over files and row groups (seed ${seed})`, async () => {
    const random = seededRandom(seed + 1);
    const rows = randomSpans(random, 3000, { traces: 1 });
    const { partial } = await mergedPartial(module, dealt(rows, 3, random, 100));
    expect(partial.equals(referencePartial(rows))).toBe(true);
  });

  it(`takes only the ids of its range (seed ${seed})`, async () => {
    const random = seededRandom(seed + 2);
    const rows = randomSpans(random, 1000, { traces: 50 });
    const files = dealt(rows, 3, random, 30);
    const ids = rows.map(({ traceId }) => BigInt(`0x${traceId}`));
    const cuts = [0n, 1n, ids[0] ?? 0n, ids[5] ?? 0n, (ids[9] ?? 0n) + 1n, idEnd].toSorted(
      (a, b) => (a < b ? -1 : 1),
    );
    for (const [i, idFrom] of cuts.slice(0, -1).entries()) {
      const idTo = cuts[i + 1] ?? idEnd;
      const within = rows.filter((_, at) => (ids[at] ?? 0n) >= idFrom && (ids[at] ?? 0n) < idTo);
      const { partial } = await mergedPartial(module, files, { idFrom, idTo });
      expect(partial.equals(referencePartial(within)), `range ${i}`).toBe(true);
    }
  });

  it('reads where spans were received only where copies differ', async () => {
    const same = [row, { ...row, ingestedMs: 1 }];
    const other = [row, { ...row, ingestedMs: 1, durationNs: 1n }];
    expect(await costOf(same)).toBe(4);
    expect(await costOf(other)).toBe(6);
  });

  it('refuses files that are not sorted, cut off or none, by name', async () => {
    const rows = randomSpans(seededRandom(3), 500);
    const unsorted = writeSpanFile(rows, 500, [], 'unsorted');
    await expect(mergedPartial(module, [unsorted])).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringMatching(/"file 0".*not in the order of TraceId/) as string,
    });
    const file = writeSpanFile(rows);
    const cut = { ...file, bytes: file.bytes.subarray(0, file.bytes.length - 9) };
    await expect(mergedPartial(module, [cut])).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });

  it('passes its memory with CAPACITY, and keeps the bound', async () => {
    const rows = randomSpans(seededRandom(4), 20_000);
    const files = [writeSpanFile(rows)];
    const memoryBytes = 1536 * 1024;
    await expect(mergedPartial(module, files, { memoryBytes })).rejects.toMatchObject({
      code: 'CAPACITY',
    });
    const { cost } = await mergedPartial(module, files, { memoryBytes: 32 * 1024 * 1024 });
    expect(cost.memoryBytes).toBeLessThanOrEqual(32 * 1024 * 1024);
  });
});
