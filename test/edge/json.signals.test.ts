/**
 * Checks what OTLP/JSON of logs and metrics has beyond that of traces, against protobufjs and the
 * protobuf encoding specification. Rows are those of the OTLP/HTTP contract.
 */
import { describe, expect, it } from 'vitest';
import { jsonToProtobuf } from '../../edge/json.ts';
import { decode, hex } from './proto.ts';
import type { Decoded } from './proto.ts';

const utf8 = new TextEncoder();

function toHex(name: string, json: string): string {
  return hex(jsonToProtobuf(name, utf8.encode(json), 1 << 20));
}

function convert(name: string, json: string): Decoded {
  return decode(name, jsonToProtobuf(name, utf8.encode(json), 1 << 20));
}

function convertStrictly(name: string, json: string): Decoded {
  return decode(name, jsonToProtobuf(name, utf8.encode(json), 1 << 20, 'camel'));
}

function codeOf(name: string, json: string): string {
  try {
    jsonToProtobuf(name, utf8.encode(json), 1 << 20);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
}

/** A LogRecord whose body is so many AnyValues, one in the other. */
function nestedBody(levels: number): string {
  const depth = levels - 1;
  return `{"body":${'{"arrayValue":{"values":['.repeat(depth)}{}${']}}'.repeat(depth)}}`;
}

const upper = '{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"}';
const ids = { traceId: '5b8efff798038103d269b633813fc60c', spanId: 'eee19b7ec3c1b174' };

describe('jsonToProtobuf() on logs', () => {
  it('rows 53, 54: ids of log records are hex, and those that are not keep the request', () => {
    expect(convert('LogRecord', upper)).toEqual(ids);
    expect(convert('LogRecord', '{"traceId":"","spanId":""}')).toEqual({ traceId: '', spanId: '' });
    const base64 = convert('LogRecord', '{"traceId":"W47/95gDgQPSabYzgT/GDA=="}');
    expect(String(base64['traceId']).length).not.toBe(32);
  });

  it('rows 56, 58, 59: severities by number or name, times bare or quoted, names of the proto', () => {
    const json =
      '{"severityNumber":17,"severity_text":"E","time_unix_nano":1697982593201336001,' +
      '"observedTimeUnixNano":"18446744073709551615","event_name":"e","flags":4294967295}';
    expect(convert('LogRecord', json)).toEqual({
      severityNumber: 17,
      severityText: 'E',
      timeUnixNano: '1697982593201336001',
      observedTimeUnixNano: '18446744073709551615',
      eventName: 'e',
      flags: 4294967295,
    });
    expect(convert('LogRecord', '{"severityNumber":"SEVERITY_NUMBER_FATAL4"}')).toEqual({
      severityNumber: 24,
    });
    expect(convert('LogRecord', '{"severityNumber":-2147483648}')).toEqual({
      severityNumber: -2147483648,
    });
    expect(codeOf('LogRecord', '{"severityNumber":"ERROR"}')).toBe('BAD_OTLP');
  });

  it.each([
    ['{"stringValue":"line"}', { stringValue: 'line' }],
    ['{}', {}],
    ['{"bytesValue":"AAEC/w=="}', { bytesValue: '000102ff' }],
    ['{"intValue":9223372036854775807}', { intValue: '9223372036854775807' }],
    [
      '{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{},{"boolValue":false}]}}}]}}',
      {
        kvlistValue: {
          values: [{ key: 'k', value: { arrayValue: { values: [{}, { boolValue: false }] } } }],
        },
      },
    ],
  ])('row 63: a body may be %s', (json, body) => {
    expect(convert('LogRecord', `{"body":${json}}`)).toEqual({ body });
  });

  it('row 62: a body that is null is absent', () => {
    expect(toHex('LogRecord', '{"body":null,"traceId":null,"attributes":null}')).toBe('');
  });

  it('row 65: a body nests 100 AnyValues deep and no deeper', () => {
    expect(codeOf('LogRecord', nestedBody(100))).toBe('none');
    expect(codeOf('LogRecord', nestedBody(101))).toBe('BAD_OTLP');
  });
});

describe('jsonToProtobuf() with strict names', () => {
  it('row 58: names are camelCase alone, others are unknown fields', () => {
    const json = '{"start_time_unix_nano":"5","trace_id":7,"droppedLinksCount":1,"name":"n"}';
    expect(convertStrictly('Span', json)).toEqual({ droppedLinksCount: 1, name: 'n' });
    expect(convertStrictly('Exemplar', '{"as_int":"1","asDouble":2,"span_id":[]}')).toEqual({
      asDouble: 2,
    });
  });
});

describe('jsonToProtobuf() on metrics', () => {
  it('rows 53, 54: ids of exemplars are hex', () => {
    expect(convert('Exemplar', upper)).toEqual(ids);
    expect(String(convert('Exemplar', '{"spanId":"7uGbfsPBsXQ="}')['spanId']).length).not.toBe(16);
  });

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['"-9223372036854775808"', '-9223372036854775808'],
    ['9223372036854775807', '9223372036854775807'],
    ['-1', '-1'],
    ['1e3', '1000'],
  ])('row 59: asInt %s is exact, a sfixed64', (json, value) => {
    expect(convert('NumberDataPoint', `{"asInt":${json}}`)).toEqual({ asInt: value });
    expect(convert('Exemplar', `{"asInt":${json}}`)).toEqual({ asInt: value });
  });

  it('row 59: counts are exact, bare or quoted, each in its own wire type', () => {
    const counts = '[0,"1",18446744073709551615,"9007199254740993"]';
    const values = ['0', '1', '18446744073709551615', '9007199254740993'];
    const histogram = `{"count":18446744073709551615,"bucketCounts":${counts}}`;
    expect(convert('HistogramDataPoint', histogram)).toEqual({
      count: '18446744073709551615',
      bucketCounts: values,
    });
    expect(convert('Buckets', `{"offset":-3,"bucket_counts":${counts}}`)).toEqual({
      offset: -3,
      bucketCounts: values,
    });
    expect(
      convert('ExponentialHistogramDataPoint', '{"zeroCount":"9007199254740993","scale":"-11"}'),
    ).toEqual({ zeroCount: '9007199254740993', scale: -11 });
    expect(convert('SummaryDataPoint', '{"count":9007199254740993}')).toEqual({
      count: '9007199254740993',
    });
  });

  // Encoding specification, "Signed Integers": the table of zigzag values.
  it.each([
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [-2, '03'],
    [2147483647, 'feffffff0f'],
    [-2147483648, 'ffffffff0f'],
  ])('row 59: sint32 %d is zigzag %s', (value, encoded) => {
    expect(toHex('Buckets', `{"offset":${value}}`)).toBe(`08${encoded}`);
    expect(toHex('ExponentialHistogramDataPoint', `{"scale":"${value}"}`)).toBe(`30${encoded}`);
  });

  // Encoding specification, "Repeated Fields": packed, one key and one length before all values.
  it('row 67: repeated numbers are written packed', () => {
    expect(toHex('Buckets', '{"bucketCounts":[1,300]}')).toBe('120301ac02');
    expect(toHex('HistogramDataPoint', '{"bucketCounts":["1","2"]}')).toBe(
      '321001000000000000000200000000000000',
    );
    expect(toHex('HistogramDataPoint', '{"explicitBounds":[1]}')).toBe('3a08000000000000f03f');
    expect(toHex('HistogramDataPoint', '{"explicitBounds":[],"bucketCounts":null}')).toBe('');
    const many = Array.from({ length: 1000 }, (_value, index) => String(index * index));
    expect(convert('Buckets', `{"bucketCounts":[${many.join(',')}]}`)).toEqual({
      bucketCounts: many,
    });
  });

  it('optional fields that are present are kept, zero or not', () => {
    expect(convert('HistogramDataPoint', '{"sum":0,"min":-0.0,"max":null}')).toEqual({
      sum: 0,
      min: -0,
    });
  });

  it('row 61: doubles are numbers, strings, NaN and infinities', () => {
    const json = '{"asDouble":"NaN","quantile":1}';
    expect(convert('NumberDataPoint', json)).toEqual({ asDouble: Number.NaN });
    expect(
      convert('HistogramDataPoint', '{"explicitBounds":[0.1,"2.5","Infinity"],"sum":"-Infinity"}'),
    ).toEqual({
      explicitBounds: [0.1, 2.5, Number.POSITIVE_INFINITY],
      sum: Number.NEGATIVE_INFINITY,
    });
    expect(convert('ValueAtQuantile', '{"quantile":"1","value":1e-7}')).toEqual({
      quantile: 1,
      value: 1e-7,
    });
  });

  it('row 64: of the two values of a point, and of the kinds of a metric, the last wins', () => {
    expect(convert('NumberDataPoint', '{"asInt":"1","asDouble":2.5}')).toEqual({ asDouble: 2.5 });
    expect(convert('NumberDataPoint', '{"asDouble":2.5,"flags":1,"asInt":1}')).toEqual({
      flags: 1,
      asInt: '1',
    });
    const metric = '{"gauge":{"dataPoints":[{}]},"name":"m","sum":{"isMonotonic":true}}';
    expect(convert('Metric', metric)).toEqual({ name: 'm', sum: { isMonotonic: true } });
  });

  it('row 56: temporalities by number or name', () => {
    for (const value of ['2', '"AGGREGATION_TEMPORALITY_CUMULATIVE"']) {
      expect(convert('Sum', `{"aggregationTemporality":${value}}`)).toEqual({
        aggregationTemporality: 2,
      });
    }
  });

  it('row 57: unknown fields are ignored among points and buckets', () => {
    const json = '{"offset":1,"bucketCount":[1],"x":{"bucketCounts":[true]},"bucketCounts":[2]}';
    expect(convert('Buckets', json)).toEqual({ offset: 1, bucketCounts: ['2'] });
  });

  it.each([
    ['NumberDataPoint', '{"asInt":9223372036854775808}'],
    ['NumberDataPoint', '{"asInt":"-9223372036854775809"}'],
    ['NumberDataPoint', '{"asInt":1.5}'],
    ['NumberDataPoint', '{"asInt":true}'],
    ['NumberDataPoint', '{"asDouble":{}}'],
    ['NumberDataPoint', '{"flags":-1}'],
    ['Exemplar', '{"asInt":"x"}'],
    ['HistogramDataPoint', '{"count":-1}'],
    ['HistogramDataPoint', '{"bucketCounts":[1,-1]}'],
    ['HistogramDataPoint', '{"bucketCounts":[null]}'],
    ['HistogramDataPoint', '{"bucketCounts":5}'],
    ['HistogramDataPoint', '{"bucketCounts":[18446744073709551616]}'],
    ['HistogramDataPoint', '{"explicitBounds":["1,5"]}'],
    ['Buckets', '{"offset":2147483648}'],
    ['Buckets', '{"offset":-2147483649}'],
    ['Buckets', '{"bucketCounts":[-1]}'],
    ['ExponentialHistogramDataPoint', '{"scale":0.5}'],
    ['Sum', '{"isMonotonic":1}'],
    ['Sum', '{"dataPoints":{}}'],
  ])('row 60: %s %s is an error', (name, json) => {
    expect(codeOf(name, json)).toBe('BAD_OTLP');
  });
});
