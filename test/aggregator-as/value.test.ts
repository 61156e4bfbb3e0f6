/**
 * Attribute values in the string forms of the Collector's AsString. Expected texts are those of its
 * own tests (pdata/pcommon/value_test.go), of Go's encoding/json, or of ECMAScript.
 */
import { beforeAll, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import { traceColumns } from '../../schemas/archive.ts';
import { valuesOf } from './arrow.ts';
import { loadTranscoder, provenance, receipt } from './module.ts';
import { bytesField, fixed64Field, message, requestWith, varintField } from './wire.ts';

let transcoder: Transcoder;
let columns: ItemColumns;

beforeAll(async () => {
  const module = await loadTranscoder();
  transcoder = new Transcoder(module);
  columns = new ItemColumns(module, 'traces');
});

const nothing = new Uint8Array();

function text(value: string): Uint8Array {
  return bytesField(1, value);
}

function double(value: number): Uint8Array {
  const bits = Buffer.alloc(8);
  bits.writeDoubleLE(value);
  return fixed64Field(4, bits.readBigUInt64LE());
}

function array(...values: Uint8Array[]): Uint8Array {
  return bytesField(5, message(...values.map((value) => bytesField(1, value))));
}

function list(entries: readonly (readonly [string | Uint8Array, Uint8Array])[]): Uint8Array {
  const pairs = entries.map(([key, value]) => message(bytesField(1, key), bytesField(2, value)));
  return bytesField(6, message(...pairs.map((pair) => bytesField(1, pair))));
}

/** The value's text in the archive, its kind, and whether the raw span is kept for it. */
function valueOf(value: Uint8Array): { text: unknown; kind: unknown; isRaw: boolean } {
  const request = requestWith(message(bytesField(1, 'k'), bytesField(2, value)));
  columns.reset();
  columns.add(request, provenance);
  const [hour] = columns.hours();
  const read = (name: string): unknown => {
    const index = traceColumns.findIndex((column) => column.name === name);
    const [column, type] = [hour?.columns[index], traceColumns[index]?.type];
    return column && type && valuesOf(type, column)[0];
  };
  const [[, inColumns] = []] = read('SpanAttributes') as string[][];
  const rows = Buffer.from(transcoder.tracesToRowBinary(request, receipt).rows);
  expect(rows.includes(Buffer.from(`\u0001k`))).toBe(true);
  expect(rows.includes(Buffer.from(inColumns ?? 'missing'))).toBe(true);
  const [kind] = read('SpanAttributeKinds') as number[];
  return { text: inColumns, kind, isRaw: read('SpanOtlp') !== null };
}

it('asString() gives the texts of the Collector for single values', () => {
  const cases: [Uint8Array, string, number][] = [
    [nothing, '', 0],
    [text('string value'), 'string value', 1],
    [varintField(2, 1), 'true', 2],
    [varintField(2, 0), 'false', 2],
    [varintField(3, 42), '42', 3],
    [varintField(3, -1), '-1', 3],
    [varintField(3, -(2n ** 63n)), '-9223372036854775808', 3],
    [varintField(3, 2n ** 63n - 1n), '9223372036854775807', 3],
    [double(1.618_033_99), '1.61803399', 4],
    [double(0.000_000_009), '9e-9', 4],
    [double(1e21), '1e+21', 4],
    [double(-0), '-0', 4],
    [double(Number.POSITIVE_INFINITY), 'Infinity', 4],
    [double(Number.NEGATIVE_INFINITY), '-Infinity', 4],
    [double(Number.NaN), 'NaN', 4],
    [bytesField(7, 'String bytes'), 'U3RyaW5nIGJ5dGVz', 7],
    [bytesField(7, ''), '', 7],
    [bytesField(7, 'a'), 'YQ==', 7],
    [bytesField(7, 'ab'), 'YWI=', 7],
    [bytesField(7, Buffer.from('fbff', 'hex')), '+/8=', 7],
  ];
  for (const [value, wanted, kind] of cases) {
    expect(valueOf(value)).toEqual({ text: wanted, kind, isRaw: false });
  }
});

it('asString() gives JSON for arrays and lists, keys sorted, of equal ones the last', () => {
  const sample = list([
    ['strKey', text('strVal')],
    ['intKey', varintField(3, 7)],
    ['floatKey', double(18.6)],
    ['boolKey', varintField(2, 0)],
    ['nullKey', nothing],
    [
      'mapKey',
      list([
        ['keyTwo', text('valTwo')],
        ['keyOne', text('valOne')],
      ]),
    ],
    ['arrKey', array(text('strOne'), text('strTwo'))],
  ]);
  const cases: [Uint8Array, string, number][] = [
    [list([]), '{}', 6],
    [array(), '[]', 5],
    [
      sample,
      '{"arrKey":["strOne","strTwo"],"boolKey":false,"floatKey":18.6,"intKey":7,' +
        '"mapKey":{"keyOne":"valOne","keyTwo":"valTwo"},"nullKey":null,"strKey":"strVal"}',
      6,
    ],
    [
      list([
        ['b', varintField(3, 1)],
        ['a', nothing],
        ['b', varintField(3, 2)],
      ]),
      '{"a":null,"b":2}',
      6,
    ],
    [
      list([
        ['é', nothing],
        ['z', nothing],
        ['Z', nothing],
        ['', nothing],
      ]),
      '{"":null,"Z":null,"z":null,"é":null}',
      6,
    ],
    [array(bytesField(7, 'String bytes'), bytesField(7, '')), '["U3RyaW5nIGJ5dGVz",null]', 5],
    [
      array(double(Number.NaN), double(Number.NEGATIVE_INFINITY), double(-0)),
      '["NaN","-Infinity",-0]',
      5,
    ],
    [array(text('<&> \u007f')), '["<&> \u007f"]', 5],
    [array(text('"\\/\b\f\n\r\t\u0000\u001f')), String.raw`["\"\\/\b\f\n\r\t\u0000\u001f"]`, 5],
    [array(text('\u2028\u2029\u202a\ufffd')), '["\\u2028\\u2029\u202a\ufffd"]', 5],
    [array(bytesField(1, Buffer.from('61ff62e28263', 'hex'))), String.raw`["a\ufffdb\ufffdc"]`, 5],
  ];
  for (const [value, wanted, kind] of cases) {
    expect(valueOf(value)).toEqual({ text: wanted, kind, isRaw: true });
  }
});

it('asString() sorts a list of thousands of keys, with every key twice', () => {
  const keys = Array.from({ length: 3000 }, (_, index) => `key ${(index * 7919) % 1500}`);
  const last = new Map(keys.map((key, index) => [key, index]));
  const wanted = [...last].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const value = list(keys.map((key, index) => [key, varintField(3, index)]));
  const body = wanted.map(([key, index]) => `"${key}":${index}`).join(',');
  expect(valueOf(value).text).toBe(`{${body}}`);
});

it('strings that are not UTF-8 become U+FFFD as the Encoding Standard says, and stay raw', () => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const cases = [
    'ff',
    '41c0af42',
    'e28241',
    'f09fa641',
    'eda080',
    'f4908080',
    'e0',
    'f0',
    'c3',
    'f09f',
  ];
  for (const hex of cases) {
    for (const padding of ['', 'sixteen bytes of', 'thirty-two bytes of ASCII before']) {
      const bytes = Buffer.concat([
        Buffer.from(padding),
        Buffer.from(hex, 'hex'),
        Buffer.from('!'),
      ]);
      const wanted = { text: decoder.decode(bytes), kind: 1, isRaw: true };
      expect(valueOf(bytesField(1, bytes)), hex).toEqual(wanted);
    }
  }
});
