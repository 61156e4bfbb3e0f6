/** Rows of metrics against protobufjs with a plain reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { seededRandom } from '../support/random.ts';
import { receivedMs } from './generate.ts';
import { loadTranscoder, receipt } from './module.ts';
import {
  bitsOf,
  metricOf,
  metricsRequest,
  packedDoubles,
  packed64,
  packedVarints,
  PointGenerator,
  pointTime,
} from './pointmaker.ts';
import { expectPoints } from './points.ts';
import type { ExpectedPoint, ExpectedPoints } from './points.ts';
import { rowsOf } from './pointrows.ts';
import {
  bytesField,
  fixed64Field,
  groupField,
  message,
  spanId,
  textAttribute,
  traceId,
  varintField,
} from './wire.ts';

let module: WebAssembly.Module;
let transcoder: Transcoder;

beforeAll(async () => {
  module = await loadTranscoder();
  transcoder = new Transcoder(module);
});

function tallyOf({ points, rejectedBy, invalidUtf8 }: ExpectedPoints) {
  return {
    accepted: points.length,
    rejected: Object.values(rejectedBy).reduce((sum, count) => sum + count, 0),
    rejectedBy,
    quarantined: points.filter(({ quarantined }) => quarantined).length,
    clampedDurations: 0,
    invalidUtf8,
  };
}

function expectRows(request: Uint8Array, from: Transcoder, label: string): ExpectedPoint[] {
  const expected = expectPoints(request, receipt);
  const { tables, firstRejection, ...tally } = from.toRowBinary('metrics', request, receipt);
  expect(tally, label).toEqual(tallyOf(expected));
  expect(firstRejection === undefined, label).toBe(tally.rejected === 0);
  const wanted = rowsOf(expected.points);
  expect(
    tables.map(({ table, rowCount }) => ({ table, rowCount })),
    label,
  ).toEqual(wanted.map(({ table, rowCount }) => ({ table, rowCount })));
  for (const [index, { table, rows }] of wanted.entries()) {
    expect(Buffer.from(tables[index]?.rows ?? []).equals(rows), `${label} ${table}`).toBe(true);
  }
  return expected.points;
}

const quantile = (q: number, value: number) =>
  bytesField(6, message(fixed64Field(1, bitsOf(q)), fixed64Field(2, bitsOf(value))));

const bucketsOf = (...counts: bigint[]) => packed64(6, counts);

/** The same values in different wire forms. */
const piecesOf = (field: number, values: bigint[]) => [
  [packed64(field, values)],
  values.map((value) => fixed64Field(field, value)),
  [packed64(field, values.slice(0, 1)), ...values.slice(1).map((v) => fixed64Field(field, v))],
  [packed64(field, values.slice(0, 1)), packed64(field, []), packed64(field, values.slice(1))],
];

const pointWith = (value: string, count: number) => {
  const attribute = bytesField(7, textAttribute('k', value));
  return message(pointTime, fixed64Field(6, 1n), ...Array<Uint8Array>(count).fill(attribute));
};

describe("toRowBinary('metrics')", () => {
  it('writes the rows that protobufjs and the reference give for random requests', () => {
    const reasons = new Set<string>();
    for (let seed = 1; seed <= 600; seed++) {
      const request = new PointGenerator(seededRandom(seed)).request();
      expectRows(request, transcoder, `seed ${seed}`);
      for (const reason of Object.keys(expectPoints(request, receipt).rejectedBy))
        reasons.add(reason);
    }
    // So the generator leaves no rule out.
    expect([...reasons].toSorted()).toEqual([
      'bounds_order',
      'bucket_count',
      'bucket_sum',
      'exemplar_id',
      'quantile_range',
      'quantile_value',
      'sum_without_count',
      'temporality_unspecified',
      'time_zero',
      'value_missing',
    ]);
  });

  it('takes numbers packed, not packed, and in pieces of both', () => {
    const counts = [1n, 2n, 3n];
    const bounds = [bitsOf(0.5), bitsOf(7)];
    const rows = piecesOf(6, counts).flatMap((some) =>
      piecesOf(7, bounds).map((others) => {
        const point = message(pointTime, fixed64Field(4, 6n), ...some, ...others);
        const request = metricsRequest(metricOf('histogram', point));
        expectRows(request, transcoder, 'histogram');
        const { tables } = transcoder.toRowBinary('metrics', request, receipt);
        return Buffer.from(tables[0]?.rows ?? []).toString('hex');
      }),
    );
    expect(new Set(rows).size).toBe(1);
    const positive = [packedVarints(2, 5, 300), message(varintField(2, 5), varintField(2, 300))];
    for (const buckets of [...positive, message(packedVarints(2, 5), varintField(2, 300))]) {
      const point = message(pointTime, fixed64Field(4, 305n), bytesField(8, buckets));
      const [expected] = expectRows(
        metricsRequest(metricOf('expHistogram', point)),
        transcoder,
        '',
      );
      expect(expected?.positive?.counts).toEqual([5n, 300n]);
    }
  });

  it('says which data point was rejected first, why and where', () => {
    const good = message(pointTime, fixed64Field(6, 1n));
    const exemplar = (...fields: Uint8Array[]) => message(good, bytesField(5, message(...fields)));
    const cases: [Parameters<typeof metricOf>[0], Uint8Array, string][] = [
      ['gauge', fixed64Field(6, 1n), 'time_unix_nano is 0'],
      ['gauge', pointTime, 'it has neither as_double nor as_int'],
      ['sum', exemplar(bytesField(5, 'short')), "exemplar 0's trace_id has 5 bytes, wanted 16"],
      [
        'gauge',
        message(exemplar(bytesField(4, spanId)), bytesField(5, bytesField(4, traceId))),
        "exemplar 1's span_id has 16 bytes, wanted 8",
      ],
      ['histogram', message(pointTime, bucketsOf(0n, 0n)), 'bucket_counts has 2 values, wanted 1'],
      [
        'histogram',
        message(pointTime, packedDoubles(7, 1)),
        'bucket_counts has 0 values, wanted 2',
      ],
      [
        'histogram',
        message(pointTime, bucketsOf(0n, 0n, 0n), packedDoubles(7, 2, 2)),
        'explicit_bounds[1] is not above the one before',
      ],
      [
        'histogram',
        message(pointTime, bucketsOf(2n ** 63n, 2n ** 63n), packedDoubles(7, 2)),
        'the buckets do not add up to count',
      ],
      [
        'expHistogram',
        message(pointTime, fixed64Field(7, 1n)),
        'the buckets do not add up to count',
      ],
      ['histogram', message(pointTime, fixed64Field(5, bitsOf(1))), 'sum is not 0, but count is'],
      ['summary', message(pointTime, quantile(0.5, -1)), 'quantile_values[0].value is negative'],
      [
        'summary',
        message(pointTime, quantile(0.5, 1), quantile(0.4, 1)),
        'quantile_values[1].quantile is not in [0, 1] and above the one before',
      ],
      [
        'summary',
        message(pointTime, quantile(1.5, 1)),
        'quantile_values[0].quantile is not in [0, 1] and above the one before',
      ],
    ];
    for (const [kind, bad, text] of cases) {
      const request = metricsRequest(metricOf('gauge', good), metricOf(kind, bad, bad));
      const tally = transcoder.toRowBinary('metrics', request, receipt);
      expect(tally.firstRejection).toContain(`Cannot accept data point 1: ${text} (byte `);
      expect(tally).toMatchObject({ accepted: 1, rejected: 2 });
    }
  });

  it('rejects every point of a sum or histogram without temporality', () => {
    const point = message(pointTime, fixed64Field(6, 1n));
    const sum = bytesField(7, message(bytesField(1, point), bytesField(1, point)));
    expect(transcoder.toRowBinary('metrics', metricsRequest(sum), receipt)).toMatchObject({
      accepted: 0,
      rejectedBy: { temporality_unspecified: 2 },
      firstRejection:
        'Cannot accept data point 0: aggregation_temporality is unspecified (byte 10)',
      tables: [],
    });
  });

  it('keeps points that say that nothing was recorded, whatever their counts', () => {
    const request = metricsRequest(
      metricOf('gauge', message(pointTime, varintField(8, 1))),
      metricOf('histogram', message(pointTime, packed64(6, [1n, 1n]), varintField(10, 1))),
      metricOf('expHistogram', message(pointTime, fixed64Field(7, 1n), varintField(10, 1))),
      metricOf(
        'summary',
        message(pointTime, bytesField(6, fixed64Field(2, bitsOf(-1))), varintField(8, 1)),
      ),
    );
    expect(expectRows(request, transcoder, 'flagged').map(({ flags: f }) => f)).toEqual([
      1, 1, 1, 1,
    ]);
  });

  it('takes a quantile of nothing: NaN is not negative', () => {
    const nan = message(fixed64Field(1, bitsOf(0.5)), fixed64Field(2, bitsOf(Number.NaN)));
    const request = metricsRequest(metricOf('summary', message(pointTime, bytesField(6, nan))));
    expect(expectRows(request, transcoder, 'NaN').length).toBe(1);
  });

  it('writes ints as the nearest doubles', () => {
    const ints = [0n, -1n, 2n ** 53n + 1n, 2n ** 53n + 3n, 2n ** 63n - 1n, -(2n ** 63n)];
    const points = ints.map((int) => message(pointTime, fixed64Field(6, int)));
    const request = metricsRequest(metricOf('gauge', ...points));
    expectRows(request, transcoder, 'ints');
    const [table] = transcoder.toRowBinary('metrics', request, receipt).tables;
    const rows = Buffer.from(table?.rows ?? []);
    const bytes = rows.length / ints.length;
    // Value, then Flags, five empty arrays, the tenant with its length, IngestedAt.
    const valueAt = bytes - 8 - (1 + receipt.tenantId.length) - 5 - 4 - 8;
    const values = ints.map((_, index) => rows.readDoubleLE(index * bytes + valueAt));
    expect(values).toEqual([0, -1, 2 ** 53, 2 ** 53 + 4, 2 ** 63, -(2 ** 63)]);
  });

  it('takes the last member of the oneof, and counts no item of a metric without data', () => {
    const point = message(pointTime, fixed64Field(6, 1n));
    const twice = message(
      metricOf('sum', point, point),
      bytesField(5, bytesField(1, point)),
      groupField(99, varintField(1, 1)),
    );
    const none = message(bytesField(1, 'nothing'), bytesField(12, textAttribute('k', 'v')));
    const { tables, accepted } = transcoder.toRowBinary(
      'metrics',
      metricsRequest(twice, none, metricOf('summary')),
      receipt,
    );
    expect(accepted).toBe(1);
    expect(tables.map(({ table, rowCount }) => ({ table, rowCount }))).toEqual([
      { table: 'otel_metrics_gauge', rowCount: 1 },
    ]);
  });

  it('quarantines by time_unix_nano, at both bounds', () => {
    const earliestNs = BigInt(receivedMs - receipt.pastMaxMs) * 1_000_000n;
    const latestNs = BigInt(receivedMs + receipt.futureMaxMs) * 1_000_000n;
    const times = [1n, earliestNs - 1n, earliestNs, latestNs, latestNs + 1n, 2n ** 64n - 1n];
    const quarantined = times.map((timeNs) => {
      const point = message(fixed64Field(3, timeNs), fixed64Field(6, 1n));
      const request = metricsRequest(metricOf('gauge', point));
      return transcoder.toRowBinary('metrics', request, receipt).quarantined;
    });
    expect(quarantined).toEqual([1, 1, 0, 0, 1, 1]);
  });

  it('writes points of the plain shape as it writes all others, at every bound of that shape', () => {
    const random = seededRandom(4_711);
    const below = (bound: number) => Math.floor(random() * bound);
    const value = (): Uint8Array => {
      const whole = BigInt(below(2 ** 30)) ** BigInt(below(3));
      const text = 'v'.repeat(below(20) === 0 ? 118 + below(12) : below(30));
      return (
        [
          () => bytesField(1, below(30) === 0 ? `${text}é` : text),
          () => varintField(2, below(2)),
          () => varintField(3, below(2) === 0 ? whole : -whole),
          () => fixed64Field(4, bitsOf(below(9) === 0 ? Number.NaN : random() * 10 ** below(300))),
        ][below(4)]?.() ?? new Uint8Array()
      );
    };
    const attribute = () => {
      const key = bytesField(1, 'k'.repeat(below(20) === 0 ? 120 + below(10) : below(20)));
      return bytesField(7, message(key, bytesField(2, value())));
    };
    const counts = [0, 1, 3, 8, 126, 127, 128, 200];
    const sizes = [0, 7000, 7281, 7282, 9000];
    for (let round = 0; round < 60; round++) {
      const metrics = Array.from({ length: 1 + below(8) }, () => {
        const points = Array.from({ length: below(6) }, () => {
          const many = below(4) === 0 ? (counts[below(counts.length)] ?? 0) : below(6);
          const attributes = Array.from({ length: many }, attribute);
          // A point's size, and its place among others, decide too: pad some with an unknown field.
          const size = sizes[below(sizes.length)] ?? 0;
          const padding = below(10) === 0 ? [bytesField(99, new Uint8Array(size))] : [];
          const time = below(20) === 0 ? fixed64Field(3, BigInt(below(2))) : pointTime;
          return message(...padding, time, fixed64Field(6, BigInt(below(99))), ...attributes);
        });
        return metricOf(below(2) === 0 ? 'gauge' : 'sum', ...points);
      });
      expectRows(metricsRequest(...metrics), transcoder, `round ${round}`);
    }
  });

  it('rejects points of more attributes than allowed, plain or not, first or not', () => {
    const bounded = new Transcoder(module, { attributesMax: 3 });
    for (const value of ['plain', 'é']) {
      const [three, four] = [pointWith(value, 3), pointWith(value, 4)];
      const metric = metricOf('gauge', four, three, four, three);
      const { accepted, rejectedBy, firstRejection, tables } = bounded.toRowBinary(
        'metrics',
        metricsRequest(metric, metric),
        receipt,
      );
      expect({ accepted, rejectedBy }).toEqual({ accepted: 4, rejectedBy: { attributes: 4 } });
      expect(firstRejection).toContain('data point 0: it has 4 attributes, at most 3 are allowed');
      const wanted = rowsOf(
        expectPoints(metricsRequest(metricOf('gauge', three, three, three, three)), receipt).points,
      );
      expect(Buffer.from(tables[0]?.rows ?? []).equals(wanted[0]?.rows ?? Buffer.of())).toBe(true);
    }
  });

  it('brings the rows of a table together, however the kinds alternate and however large', () => {
    const random = seededRandom(77);
    for (let round = 0; round < 30; round++) {
      const metrics = Array.from({ length: 1 + Math.floor(random() * 40) }, () => {
        const kind = (['gauge', 'sum', 'summary'] as const)[Math.floor(random() * 3)] ?? 'gauge';
        const size = random() < 0.1 ? 80_000 : Math.floor(random() * 300);
        const attribute = bytesField(7, textAttribute('k', 'x'.repeat(size)));
        const point = message(pointTime, fixed64Field(6, 1n), attribute);
        return metricOf(
          kind,
          ...Array.from({ length: Math.floor(random() * 4) }, () =>
            kind === 'summary' ? message(pointTime, attribute) : point,
          ),
        );
      });
      expectRows(metricsRequest(...metrics), transcoder, `round ${round}`);
    }
  });

  it('refuses with CAPACITY what needs more memory than allowed, and goes on', () => {
    const small = new Transcoder(module, { pagesMax: 6 });
    const one = metricsRequest(metricOf('gauge', message(pointTime, fixed64Field(6, 1n))));
    const counts = new Uint8Array(100_000);
    const wide = message(pointTime, bytesField(8, bytesField(2, counts)));
    const long = message(
      pointTime,
      fixed64Field(6, 1n),
      bytesField(7, textAttribute('k', 'x'.repeat(300_000))),
    );
    const repeated = Array.from({ length: 2000 }, () => message(pointTime, fixed64Field(6, 1n)));
    const name = bytesField(1, 'n'.repeat(1000));
    const many = metricsRequest(message(metricOf('gauge', ...repeated), name));
    for (const big of [
      metricsRequest(metricOf('expHistogram', wide)),
      metricsRequest(metricOf('gauge', long)),
      many,
    ]) {
      expect(() => small.toRowBinary('metrics', big, receipt)).toThrowError(
        expect.objectContaining({ code: 'CAPACITY' }),
      );
      expect(small.toRowBinary('metrics', one, receipt).tables[0]?.rowCount).toBe(1);
    }
    expectRows(metricsRequest(metricOf('expHistogram', wide)), transcoder, 'wide');
  });

  it('stays whole at any bound on its memory', () => {
    let refused = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed * 31_337);
      const bounded = new Transcoder(module, { pagesMax: 3 + Math.floor(random() * 2) });
      const generator = new PointGenerator(random);
      for (let count = 0; count < 3; count++) {
        const parts = Array.from({ length: 6 }, () => generator.request());
        const request = message(...parts);
        try {
          bounded.toRowBinary('metrics', request, receipt);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CAPACITY' });
          refused++;
          continue;
        }
        expectRows(request, bounded, `seed ${seed}`);
      }
    }
    expect(refused).toBeGreaterThan(10);
  });
});
