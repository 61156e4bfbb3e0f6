/** Bytes that are not OTLP metrics: what is refused, in which words, and that nothing else happens. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import { tablesOf } from '../../schemas/tables.ts';
import { seededRandom } from '../support/random.ts';
import { corruptions, garbage, overwrites } from './damage.ts';
import { lengthOf, receivedMs } from './generate.ts';
import { loadTranscoder, receipt } from './module.ts';
import { outcomeOf as outcomeOfBoth } from './outcome.ts';
import {
  dataFields,
  doubleField,
  metricOf,
  metricsRequest,
  packed64,
  packedDoubles,
  packedVarints,
  PointGenerator,
  pointTime,
  zigzagField,
} from './pointmaker.ts';
import { cellsOf, encodeRow, tableOf } from './pointrows.ts';
import { expectPoints } from './points.ts';
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

let transcoder: Transcoder;
let columns: ItemColumns;

beforeAll(async () => {
  const module = await loadTranscoder();
  transcoder = new Transcoder(module);
  columns = new ItemColumns(module, 'metrics');
});

const outcomeOf = (request: Uint8Array) => outcomeOfBoth('metrics', request, transcoder, columns);

type Kind = keyof typeof dataFields;

/** A request of one metric whose data member, or point, has this content. */
const withData = (kind: Kind, content: Uint8Array) =>
  metricsRequest(bytesField(dataFields[kind], content));
const withPoint = (kind: Kind, content: Uint8Array) => withData(kind, bytesField(1, content));

const packedZeros = (field: number, size: number) => bytesField(field, new Uint8Array(size));
const bucketsOf = (bytes: Uint8Array) => bytesField(8, bytesField(2, bytes));

const kindsOfData = Object.keys(dataFields) as Kind[];

describe("toRowBinary('metrics')", () => {
  it('names the field that has the wrong wire type', () => {
    const cases: [Uint8Array, string][] = [
      [varintField(1, 1), 'ExportMetricsServiceRequest field 1 has wire type 0'],
      [bytesField(1, varintField(3, 1)), 'ResourceMetrics field 3 has wire type 0'],
      [bytesField(1, bytesField(2, varintField(2, 1))), 'ScopeMetrics field 2 has wire type 0'],
      [metricsRequest(varintField(12, 1)), 'Metric field 12 has wire type 0'],
      [metricsRequest(fixed64Field(7, 1n)), 'Metric field 7 has wire type 1'],
      [withData('gauge', varintField(1, 1)), 'Gauge field 1 has wire type 0'],
      [withData('sum', bytesField(3, '')), 'Sum field 3 has wire type 2'],
      [withData('histogram', bytesField(2, '')), 'Histogram field 2 has wire type 2'],
      [withData('expHistogram', bytesField(2, '')), 'ExponentialHistogram field 2 has wire type 2'],
      [withData('summary', varintField(1, 1)), 'Summary field 1 has wire type 0'],
      [withPoint('gauge', varintField(4, 1)), 'NumberDataPoint field 4 has wire type 0'],
      [withPoint('histogram', varintField(6, 1)), 'HistogramDataPoint field 6 has wire type 0'],
      [withPoint('expHistogram', fixed64Field(6, 1n)), 'ExponentialHistogramDataPoint field 6 has'],
      [withPoint('summary', fixed64Field(8, 1n)), 'SummaryDataPoint field 8 has wire type 1'],
      [
        withPoint('expHistogram', bytesField(8, fixed64Field(2, 1n))),
        'ExponentialHistogramDataPoint.Buckets field 2 has wire type 1',
      ],
      [
        withPoint('summary', bytesField(6, varintField(2, 1))),
        'SummaryDataPoint.ValueAtQuantile field 2 has wire type 0',
      ],
      [withPoint('gauge', bytesField(5, varintField(4, 1))), 'Exemplar field 4 has wire type 0'],
    ];
    for (const [request, text] of cases) {
      expect(outcomeOf(request)).toContain(`BAD_OTLP Cannot decode OTLP metrics: ${text}`);
    }
    // A field that one kind of metric has is unknown to another.
    expect(outcomeOf(withData('gauge', varintField(2, 1)))).toBe('0 0');
    expect(outcomeOf(withData('summary', bytesField(3, '')))).toBe('0 0');
  });

  it('refuses packed numbers that end within a value', () => {
    for (const size of [1, 7, 9, 15]) {
      expect(outcomeOf(withPoint('histogram', packedZeros(6, size)))).toContain(
        'message ends inside',
      );
      expect(outcomeOf(withPoint('histogram', packedZeros(7, size)))).toContain(
        'message ends inside',
      );
    }
    for (const bytes of [[0x80], [1, 0xff], Array<number>(17).fill(0x81)]) {
      const buckets = bytesField(8, bytesField(2, Uint8Array.from(bytes)));
      expect(outcomeOf(withPoint('expHistogram', buckets))).toMatch(
        /message ends|varint is longer/,
      );
    }
    const longest = Uint8Array.from([...Array<number>(9).fill(0xff), 1]);
    const tooLong = Uint8Array.from([...Array<number>(10).fill(0xff), 1]);
    const point = message(pointTime, fixed64Field(4, 2n ** 64n - 1n), bucketsOf(longest));
    expect(outcomeOf(metricsRequest(metricOf('expHistogram', point)))).toBe('1 0');
    expect(outcomeOf(withPoint('expHistogram', bucketsOf(tooLong)))).toContain(
      'longer than 10 bytes',
    );
  });

  it('refuses lengths near 2^31, 2^32, 2^63 and 2^64 wherever a length stands', () => {
    const lengths = [2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 4n];
    lengths.push(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 16n);
    for (const length of lengths) {
      const bad = (field: number) => message(lengthOf(field, length), Buffer.alloc(40));
      const requests = [
        bytesField(1, bytesField(2, bad(2))),
        ...[1, 2, 3, 5, 7, 9, 10, 11, 12, 100].map((field) => metricsRequest(bad(field))),
        ...kindsOfData.map((kind) => withData(kind, bad(1))),
        ...[5, 7, 100].map((field) => withPoint('gauge', bad(field))),
        ...[6, 7, 8, 9].map((field) => withPoint('histogram', bad(field))),
        ...[1, 8, 9, 11].map((field) => withPoint('expHistogram', bad(field))),
        withPoint('expHistogram', bytesField(8, bad(2))),
        withPoint('summary', bad(6)),
        ...[4, 5, 7].map((field) => withPoint('gauge', bytesField(5, bad(field)))),
      ];
      for (const request of requests) {
        expect(outcomeOf(request)).toMatch(/BAD_OTLP Cannot decode OTLP metrics: length/);
      }
    }
  });
});

/** A request with every kind and field, small enough to try everything at every byte. */
function samples(): Uint8Array[] {
  const attribute = textAttribute('k', 'v');
  const exemplar = (field: number) =>
    bytesField(
      field,
      message(
        fixed64Field(2, 7n),
        fixed64Field(6, 5n),
        bytesField(4, spanId),
        bytesField(5, traceId),
        bytesField(7, attribute),
      ),
    );
  const head = message(pointTime, fixed64Field(2, 9n));
  const counted = message(head, fixed64Field(4, 6n), doubleField(5, 1.5));
  const gauge = message(head, doubleField(4, 0.5), exemplar(5), bytesField(7, attribute));
  const sum = message(head, fixed64Field(6, 3n), varintField(8, 2));
  const histogram = message(
    counted,
    packed64(6, [1n, 2n, 3n]),
    packedDoubles(7, 1, 2),
    exemplar(8),
    bytesField(9, attribute),
    varintField(10, 0),
    doubleField(11, -1),
    doubleField(12, 9),
  );
  const expHistogram = message(
    bytesField(1, attribute),
    counted,
    zigzagField(6, -3),
    fixed64Field(7, 1n),
    bytesField(8, message(zigzagField(1, -2), packedVarints(2, 1, 2))),
    bytesField(9, message(varintField(2, 2), zigzagField(1, 7))),
    varintField(10, 4),
    exemplar(11),
    doubleField(12, -1),
    doubleField(13, 9),
    doubleField(14, 1e-9),
  );
  const quantile = bytesField(6, message(doubleField(1, 0.5), doubleField(2, 3)));
  const summary = message(counted, quantile, bytesField(7, attribute), varintField(8, 1));
  const described = message(
    bytesField(2, 'what it is'),
    bytesField(3, 'By'),
    bytesField(12, attribute),
    groupField(100, varintField(1, 300)),
  );
  const resource = bytesField(1, bytesField(1, textAttribute('service.name', 'cart')));
  const scope = bytesField(1, bytesField(1, 'lib'));
  const metrics = [
    message(metricOf('gauge', gauge, gauge), described),
    metricOf('sum', sum),
    metricOf('histogram', histogram),
    metricOf('expHistogram', expHistogram),
    metricOf('summary', summary),
  ];
  const scoped = message(scope, ...metrics.map((each) => bytesField(2, each)));
  const big = message(resource, bytesField(2, scoped), bytesField(3, 'https://schema'));
  return [bytesField(1, big), new PointGenerator(seededRandom(12)).request().subarray(0, 1500)];
}

/** Whether the rows are those of the reference, which throws where protobufjs refuses. */
function expectSameRows(request: Uint8Array, label: string): void {
  const { tables } = transcoder.toRowBinary('metrics', request, receipt);
  const { points } = expectPoints(request, receipt);
  for (const table of tablesOf.metrics) {
    const own = points.filter((point) => !point.quarantined && tableOf(point) === table);
    const wanted = own.map((point) => encodeRow(cellsOf(point, receipt.tenantId, receivedMs)));
    const rows = tables.find((each) => each.table === table)?.rows ?? [];
    expect(Buffer.from(rows).equals(Buffer.concat(wanted)), `${label} ${table}`).toBe(true);
  }
}

const many = (bytes: Uint8Array) => Buffer.concat(Array<Uint8Array>(50_000).fill(bytes));

describe('any input', () => {
  it('of the sample is whole: all five kinds are accepted', () => {
    expect(outcomeOf(samples()[0] ?? new Uint8Array())).toBe('6 0');
  });

  it('is taken or refused at every truncation, never a trap', () => {
    for (const sample of samples()) {
      for (let length = 0; length <= sample.length; length++) outcomeOf(sample.subarray(0, length));
    }
  });

  it('is taken as protobufjs takes it, or refused, at every corrupted byte', () => {
    let taken = 0;
    for (const sample of samples()) {
      for (const { corrupt, where } of corruptions(sample, [0, 0x7f, 0xff], [1, 0x80])) {
        if (outcomeOf(corrupt).startsWith('BAD_OTLP')) continue;
        expectSameRows(corrupt, where);
        taken++;
      }
    }
    expect(taken).toBeGreaterThan(1000);
  });

  it('may be garbage, alone and within each envelope', () => {
    const random = seededRandom(4_243);
    for (let count = 0; count < 8000; count++) {
      const bytes = garbage(random);
      const kind = kindsOfData[count % 5] ?? 'gauge';
      const wrapped = [
        bytes,
        bytesField(1, bytesField(2, bytes)),
        metricsRequest(bytes),
        withData(kind, bytes),
        withPoint(kind, bytes),
        withPoint('gauge', bytesField(5, bytes)),
        withPoint('expHistogram', bytesField(8, bytes)),
        withPoint('expHistogram', bytesField(8, bytesField(2, bytes))),
        withPoint('histogram', bytesField(6, bytes)),
        withPoint('summary', bytesField(6, bytes)),
      ][Math.floor(count / 5) % 10];
      if (wrapped) outcomeOf(wrapped);
    }
  });

  it('may be a valid request with runs of bytes overwritten', () => {
    for (let seed = 1; seed <= 250; seed++) {
      const random = seededRandom(seed * 65_537);
      const request = Uint8Array.from(new PointGenerator(random).request());
      for (const damaged of overwrites(random, request)) outcomeOf(damaged);
    }
  });

  it('may be many empty or small things', () => {
    const point = message(pointTime, fixed64Field(6, 1n));
    const gauge = (content: Uint8Array) =>
      metricsRequest(metricOf('gauge', message(point, content)));
    expect(outcomeOf(many(bytesField(1, '')))).toBe('0 0');
    expect(outcomeOf(bytesField(1, bytesField(2, many(bytesField(2, '')))))).toBe('0 0');
    expect(outcomeOf(withData('gauge', many(bytesField(1, ''))))).toBe('0 50000');
    expect(outcomeOf(gauge(many(bytesField(5, ''))))).toBe('1 0');
    expect(outcomeOf(gauge(many(bytesField(7, ''))))).toBe('1 0');
    expect(
      outcomeOf(withData('summary', bytesField(1, message(pointTime, many(bytesField(6, '')))))),
    ).toBe('0 1');
    const zeros = bytesField(8, many(varintField(2, 0)));
    expect(outcomeOf(metricsRequest(metricOf('expHistogram', message(pointTime, zeros))))).toBe(
      '1 0',
    );
    const fixed = message(pointTime, many(fixed64Field(6, 0n)), many(doubleField(7, 1)));
    expect(outcomeOf(metricsRequest(metricOf('histogram', fixed)))).toBe('0 1');
  });
});
