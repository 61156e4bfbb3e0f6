/**
 * Checks OTLP/JSON to protobuf against protobufjs's reading of the result. Rows are those of the
 * OTLP/HTTP contract (docs and specification 1.11, "JSON Protobuf Encoding").
 */
import { describe, expect, it } from 'vitest';
import { jsonToProtobuf } from '../../edge/json.ts';
import type { DecodeError } from '../../schemas/errors.ts';
import { signalWires } from '../../edge/signal.ts';
import { randomMessage, spell } from './generate.ts';
import { random } from './random.ts';
import { decode, hex } from './proto.ts';
import type { Decoded } from './proto.ts';

const utf8 = new TextEncoder();
const bytesMax = 1 << 20;

function convert(name: string, json: string): Decoded {
  return decode(name, jsonToProtobuf(name, utf8.encode(json), bytesMax));
}

function fault(name: string, json: string | Uint8Array): DecodeError {
  const bytes = typeof json === 'string' ? utf8.encode(json) : json;
  try {
    jsonToProtobuf(name, bytes, bytesMax);
  } catch (error) {
    return error as DecodeError;
  }
  throw new Error('it was accepted');
}

/** A KeyValue whose AnyValue holds arrays, `levels` AnyValues in all. */
function nestedArray(levels: number): string {
  const depth = levels - 1;
  return `{"value":${'{"arrayValue":{"values":['.repeat(depth)}{}${']}}'.repeat(depth)}}`;
}

function nestedList(levels: number): string {
  const depth = levels - 1;
  return `{"value":${'{"kvlistValue":{"values":[{"value":'.repeat(depth)}{}${'}]}}'.repeat(depth)}}`;
}

function unknownArrays(levels: number): string {
  return `{"x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
}

const sample = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":
{"stringValue":"shop \\"é\\u00e9\\ud83c\\udf89\\n"}}]},"scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[{
"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"","name":"GET /",
"kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1697982593201336001,"flags":257,
"attributes":[{"key":"n","value":{"intValue":"-9223372036854775808"}},{"key":"d","value":{"doubleValue":0.1}},
{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true},{},{"kvlistValue":{"values":[{"key":"k"}]}}]}}},
{"key":"b","value":{"bytesValue":"AAEC/w=="}}],"events":[{"timeUnixNano":"7","name":"e"}],
"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"EEE19B7EC3C1B174"}],
"status":{"code":"STATUS_CODE_ERROR","message":"bad"}}]}]}]}`;

describe('jsonToProtobuf()', () => {
  it('jsonToProtobuf() converts every part of a request', () => {
    expect(convert('ExportTraceServiceRequest', sample)).toEqual({
      resourceSpans: [
        {
          resource: {
            attributes: [{ key: 'service.name', value: { stringValue: 'shop "éé🎉\n' } }],
          },
          scopeSpans: [
            {
              scope: { name: 'lib', version: '1' },
              spans: [
                {
                  traceId: '5b8efff798038103d269b633813fc60c',
                  spanId: 'eee19b7ec3c1b174',
                  parentSpanId: '',
                  name: 'GET /',
                  kind: 2,
                  startTimeUnixNano: '1544712660000000000',
                  endTimeUnixNano: '1697982593201336001',
                  flags: 257,
                  attributes: [
                    { key: 'n', value: { intValue: '-9223372036854775808' } },
                    { key: 'd', value: { doubleValue: 0.1 } },
                    {
                      key: 'a',
                      value: {
                        arrayValue: {
                          values: [
                            { boolValue: true },
                            {},
                            { kvlistValue: { values: [{ key: 'k' }] } },
                          ],
                        },
                      },
                    },
                    { key: 'b', value: { bytesValue: '000102ff' } },
                  ],
                  events: [{ timeUnixNano: '7', name: 'e' }],
                  links: [
                    { traceId: '5b8efff798038103d269b633813fc60c', spanId: 'eee19b7ec3c1b174' },
                  ],
                  status: { code: 2, message: 'bad' },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it('row 32: an empty object is an empty request, an empty body is an error', () => {
    expect(jsonToProtobuf('ExportTraceServiceRequest', utf8.encode(' {} \n'), 10).length).toBe(0);
    expect(fault('ExportTraceServiceRequest', '').message).toBe(
      'Cannot read JSON: the body is empty (byte 0)',
    );
    expect(fault('ExportTraceServiceRequest', ' \n').code).toBe('BAD_OTLP');
  });

  it('row 53: ids are hex in either case', () => {
    expect(convert('Link', '{"traceId":"aAbBcCdDeEfF00112233445566778899"}')).toEqual({
      traceId: 'aabbccddeeff00112233445566778899',
    });
  });

  it('row 54: ids of a wrong length are passed on', () => {
    expect(convert('Link', '{"traceId":"0a0b","spanId":""}')).toEqual({
      traceId: '0a0b',
      spanId: '',
    });
  });

  it.each([
    'zz',
    'abc',
    '0123456',
    'W47/95gDgQPSabYzgT/GDA==',
    '7uGbfsPBsXQ=',
    'x'.repeat(16),
    'x'.repeat(8),
    'y'.repeat(999),
  ])(
    'row 54: an id that is no hex, "%s", keeps the request and gets a length that no id has',
    (id) => {
      const link = convert('Link', JSON.stringify({ traceId: id }));
      expect([0, 8, 16]).not.toContain(String(link['traceId']).length / 2);
      expect(String(link['traceId']).length / 2).toBeLessThanOrEqual(64);
    },
  );

  it('row 55: bytes are base64, padded or not, of either alphabet', () => {
    for (const base64 of ['+/8=', '+/8', '-_8=']) {
      expect(convert('AnyValue', `{"bytesValue":"${base64}"}`)).toEqual({ bytesValue: 'fbff' });
    }
    expect(convert('AnyValue', '{"bytesValue":""}')).toEqual({ bytesValue: '' });
    expect(convert('AnyValue', String.raw`{"bytesValue":"+\/8="}`)).toEqual({ bytesValue: 'fbff' });
    for (const base64 of ['A', 'AA=', 'AAA==', '!AAA', 'AA A', '====', 'AAAAA']) {
      expect(fault('AnyValue', `{"bytesValue":"${base64}"}`).code).toBe('BAD_OTLP');
    }
  });

  it('row 56: enums are numbers, unknown ones are kept, names are known', () => {
    expect(convert('Span', '{"kind":3}')).toEqual({ kind: 3 });
    expect(convert('Span', '{"kind":99}')).toEqual({ kind: 99 });
    expect(convert('Span', '{"kind":-1}')).toEqual({ kind: -1 });
    expect(convert('Span', '{"kind":"SPAN_KIND_CLIENT"}')).toEqual({ kind: 3 });
    expect(fault('Span', '{"kind":"CLIENT"}').message).toContain('"CLIENT" is no name');
    expect(fault('Span', '{"kind":"toString"}').code).toBe('BAD_OTLP');
    expect(fault('Span', '{"kind":2147483648}').message).toContain('range of int32');
  });

  it('row 57: unknown fields are ignored at any depth', () => {
    const unknown =
      '"x":{"traceId":[1,{"a":null,"b":[[],{}]},"\\u0041\\\\"],"y":-1.5e+3,"z":false}';
    expect(convert('Span', `{${unknown},"name":"n",${unknown}}`)).toEqual({ name: 'n' });
    expect(convert('Status', `{"message":"m","deep":{${unknown}}}`)).toEqual({ message: 'm' });
  });

  it('row 58: the proto spelling of names is accepted beside camelCase', () => {
    const json = '{"start_time_unix_nano":"5","trace_id":"00","droppedLinksCount":1}';
    expect(convert('Span', json)).toEqual({
      startTimeUnixNano: '5',
      traceId: '00',
      droppedLinksCount: 1,
    });
    expect(convert('Span', String.raw`{"n\u0061me":"escaped"}`)).toEqual({ name: 'escaped' });
  });

  it.each([
    ['"1697982593201336001"', '1697982593201336001'],
    ['1697982593201336001', '1697982593201336001'],
    ['18446744073709551615', '18446744073709551615'],
    ['"18446744073709551615"', '18446744073709551615'],
    ['0', '0'],
    ['1e3', '1000'],
    ['-0', '0'],
  ])('row 59: fixed64 %s is exact', (json, value) => {
    expect(convert('Span', `{"startTimeUnixNano":${json}}`)).toEqual({ startTimeUnixNano: value });
  });

  it.each([
    ['9223372036854775807', '9223372036854775807'],
    ['"-9223372036854775808"', '-9223372036854775808'],
    ['-9007199254740993', '-9007199254740993'],
  ])('row 59: int64 %s is exact', (json, value) => {
    expect(convert('AnyValue', `{"intValue":${json}}`)).toEqual({ intValue: value });
  });

  it.each([
    ['Span', '{"startTimeUnixNano":-1}'],
    ['Span', '{"startTimeUnixNano":18446744073709551616}'],
    ['Span', '{"startTimeUnixNano":"3.f14"}'],
    ['Span', '{"startTimeUnixNano":1.5}'],
    ['Span', '{"startTimeUnixNano":true}'],
    ['Span', '{"startTimeUnixNano":""}'],
    ['Span', '{"startTimeUnixNano":{}}'],
    ['Span', '{"flags":4294967296}'],
    ['Span', '{"droppedEventsCount":-1}'],
    ['Span', '{"droppedEventsCount":"4294967296"}'],
    ['KeyValue', '{"keyStrindex":2147483648}'],
    ['KeyValue', '{"keyStrindex":-2147483649}'],
    ['AnyValue', '{"intValue":9223372036854775808}'],
    ['AnyValue', '{"intValue":-9223372036854775809}'],
    ['AnyValue', '{"boolValue":"true"}'],
    ['AnyValue', '{"boolValue":1}'],
    ['AnyValue', '{"stringValue":1}'],
    ['AnyValue', '{"stringValue":["a"]}'],
    ['AnyValue', '{"arrayValue":[]}'],
    ['AnyValue', '{"doubleValue":"x"}'],
    ['AnyValue', '{"doubleValue":"1 "}'],
    ['AnyValue', '{"doubleValue":1e999}'],
    ['AnyValue', '{"doubleValue":true}'],
    ['Span', '{"attributes":{}}'],
    ['Span', '{"attributes":[null]}'],
    ['Span', '{"traceId":12}'],
  ])('row 60: %s %s is an error', (name, json) => {
    expect(fault(name, json).code).toBe('BAD_OTLP');
  });

  it('row 60: the least values of their types are accepted', () => {
    expect(convert('KeyValue', '{"keyStrindex":-2147483648}')).toEqual({
      keyStrindex: -2147483648,
    });
    expect(convert('Span', '{"flags":4294967295}')).toEqual({ flags: 4294967295 });
  });

  it.each([
    ['1', 1],
    ['-0.5e-3', -0.0005],
    ['"2.5"', 2.5],
    ['"NaN"', Number.NaN],
    ['"Infinity"', Number.POSITIVE_INFINITY],
    ['"-Infinity"', Number.NEGATIVE_INFINITY],
    ['0.30000000000000004', 0.30000000000000004],
  ])('row 61: double %s', (json, value) => {
    expect(convert('AnyValue', `{"doubleValue":${json}}`)).toEqual({ doubleValue: value });
  });

  it('row 62: null is absent, for every field', () => {
    const json =
      '{"name":null,"kind":null,"startTimeUnixNano":null,"attributes":null,"status":null}';
    expect(jsonToProtobuf('Span', utf8.encode(json), 100).length).toBe(0);
    expect(convert('AnyValue', '{"stringValue":"a","intValue":null}')).toEqual({
      stringValue: 'a',
    });
  });

  it('row 63: an AnyValue without a field is legal', () => {
    expect(convert('KeyValue', '{"key":"k","value":{}}')).toEqual({ key: 'k', value: {} });
  });

  it('row 64: of several members of a oneof the last wins', () => {
    expect(convert('AnyValue', '{"stringValue":"a","intValue":"5"}')).toEqual({ intValue: '5' });
    expect(convert('AnyValue', '{"intValue":5,"stringValue":"long","boolValue":false}')).toEqual({
      boolValue: false,
    });
    const twice = '{"arrayValue":{"values":[{}]},"arrayValue":{"values":[{"intValue":1}]}}';
    expect(convert('AnyValue', twice)).toEqual({ arrayValue: { values: [{ intValue: '1' }] } });
  });

  it('row 65: AnyValue nests 100 deep and no deeper', () => {
    expect(convert('KeyValue', nestedArray(100))).toHaveProperty('value');
    expect(fault('KeyValue', nestedArray(101)).message).toContain('nested deeper than 100');
    expect(convert('KeyValue', nestedList(100))).toHaveProperty('value');
    expect(fault('KeyValue', nestedList(101)).code).toBe('BAD_OTLP');
  });

  it('row 65: unknown values nest 512 deep and no deeper', () => {
    expect(convert('Span', unknownArrays(500))).toEqual({});
    expect(fault('Span', unknownArrays(100_000)).message).toContain('nested deeper than 512');
    expect(fault('Span', `{"x":${'{"a":'.repeat(100_000)}`).code).toBe('BAD_OTLP');
  });

  it('row 66: trailing bytes are an error, a byte order mark is not', () => {
    expect(fault('Span', '{} {}').message).toBe(
      'Cannot read JSON: bytes follow the value (byte 3)',
    );
    expect(fault('Span', '{}\0').code).toBe('BAD_OTLP');
    expect(convert('Span', '\uFEFF{"name":"n"}')).toEqual({ name: 'n' });
  });

  it('row 66: bytes that are not UTF-8 pass as they are, lone surrogates become U+FFFD', () => {
    const json = Uint8Array.from([...utf8.encode('{"name":"'), 0xff, 0xfe, ...utf8.encode('"}')]);
    expect(hex(jsonToProtobuf('Span', json, 100))).toBe('2a02fffe');
    const lone = String.raw`{"name":"a\ud800b\udc00c\ud800\u0041"}`;
    expect(convert('Span', lone)).toEqual({ name: 'a\uFFFDb\uFFFDc\uFFFDA' });
  });

  it.each([
    '[]',
    'null',
    '"x"',
    '1',
    'true',
    '{',
    '}',
    '{,}',
    '{"name"}',
    '{"name":}',
    '{"name":"n",}',
    '{"name":"n" "kind":1}',
    "{'name':1}",
    '{name:1}',
    '{"name":"\t"}',
    String.raw`{"name":"\x"}`,
    String.raw`{"name":"\u12g4"}`,
    '{"kind":01}',
    '{"kind":.5}',
    '{"kind":1.}',
    '{"kind":+1}',
    '{"x":nul}',
    '{"x":01}',
    '{"x":[1,]}',
    '{"x":NaN}',
    '\u00ef\u00bb{}',
  ])('refuses %s, which is no JSON object', (json) => {
    expect(fault('Span', json).code).toBe('BAD_OTLP');
  });

  it('errors name the path to the field and the byte', () => {
    const json =
      '{"resourceSpans":[{},{"scopeSpans":[{"spans":[{},{},{"attributes":[{"value":{"intValue":"x"}}]}]}]}]}';
    const error = fault('ExportTraceServiceRequest', json);
    const path = 'resourceSpans[1].scopeSpans[0].spans[2].attributes[0].value.intValue';
    expect(error.field).toBe(path);
    expect(error.byteOffset).toBe(json.indexOf('"x"') + 3);
    expect(error.message).toContain(`at ${path} (byte ${error.byteOffset})`);
  });

  it('every truncation of a request is an error', () => {
    const bytes = utf8.encode(sample);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(fault('ExportTraceServiceRequest', bytes.subarray(0, length)).code).toBe('BAD_OTLP');
    }
  });

  it('seeded damage of a request is an error or another request, never a crash', () => {
    const seed = 20_261_124;
    const next = random(seed);
    for (let count = 0; count < 5000; count += 1) {
      const bytes = utf8.encode(sample);
      for (let change = 0; change < 3; change += 1) {
        bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      }
      try {
        jsonToProtobuf('ExportTraceServiceRequest', bytes, bytesMax);
      } catch (error) {
        expect(error, `seed ${seed}`).toHaveProperty('code', 'BAD_OTLP');
      }
    }
  });

  it('the result never passes its bound', () => {
    const json = `{"name":"${'n'.repeat(100)}"}`;
    expect(jsonToProtobuf('Span', utf8.encode(json), 102).length).toBe(102);
    expect(() => jsonToProtobuf('Span', utf8.encode(json), 101)).toThrow(
      expect.objectContaining({ code: 'BODY_TOO_LARGE' }),
    );
  });
});

describe('jsonToProtobuf() on random requests', () => {
  it.each(Object.values(signalWires))(
    'rows 53 to 64: equals what protobufjs reads, for 150 seeded spellings of $request',
    ({ request: name }) => {
      const seed = 20_261_125;
      const next = random(seed);
      for (let count = 0; count < 150; count += 1) {
        const request = randomMessage(name, next);
        const json = spell(name, request, next);
        expect(convert(name, json), `seed ${seed}, ${count}`).toEqual(request);
      }
    },
  );
});
