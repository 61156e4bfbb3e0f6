/** Rows 53–68: how OTLP/JSON and protobuf are decoded. */
import { isClientFault, isRefused, isTaken } from '../answer.ts';
import {
  attributeBytes,
  itemBytes,
  post,
  requestBytes,
  requestJson,
  spanBytes,
  spanJson,
  valid,
} from '../payload.ts';
import { row } from '../row.ts';
import type { Judgement, Row, Send, Signal, Target } from '../row.ts';
import { every, shoot } from '../shot.ts';
import type { Shot } from '../shot.ts';
import {
  bytes,
  double,
  fixed32,
  fixed64,
  group,
  join,
  packedDoubles,
  packedFixed64,
  utf8,
  varint,
} from '../wire.ts';

/** Cases of a row: a label, and the request. */
type Cases = readonly (readonly [label: string, request: Send])[];

/** More than 2^53: a JSON parser that makes doubles of numbers cannot tell it from 2^53. */
const large = '9007199254740993';

export const jsonRows: readonly Row[] = [
  spanRow(53, 'MUST', 'ids are hex, in upper or lower case', {
    expected: '200',
    spans: (target) => {
      const span = spanJson(target);
      const [traceId, spanId] = ['abcdef', 'fedcba'].map((id) => id + span.traceId.slice(6));
      const lower = { traceId, spanId: spanId?.slice(0, 16), parentSpanId: spanId?.slice(0, 16) };
      const upper = {
        traceId: traceId?.toUpperCase(),
        spanId: spanId?.slice(0, 16).toUpperCase(),
        links: [{ traceId: traceId?.toUpperCase(), spanId: spanId?.slice(0, 16) }],
      };
      return { 'lower case': lower, 'upper case': upper };
    },
    holds: ({ answer }) => isTaken(answer),
  }),
  spanRow(54, 'collector', 'an id of another length, or in base64, is refused; empty is unset', {
    expected: '400 or the item rejected; an empty parentSpanId is 200',
    spans: () => ({
      'trace id of 15 bytes': { traceId: 'ab'.repeat(15) },
      'trace id in base64': { traceId: 'W47/95gDgQPSabYzgT/GDA==' },
      'span id of 9 bytes': { spanId: 'ab'.repeat(9) },
      'empty parent': { parentSpanId: '' },
    }),
    holds: ({ label, answer }) => (label.startsWith('empty') ? isTaken : isRefused)(answer),
  }),
  spanRow(55, 'collector', 'bytes that are no ids are base64', {
    expected: '200, and 400 for what is no base64',
    spans: () => ({
      base64: { attributes: [attribute({ bytesValue: 'AQIDBA==' })] },
      'no base64': { attributes: [attribute({ bytesValue: '?!' })] },
    }),
    holds: ({ label, answer }) => (label === 'base64' ? isTaken : isRefused)(answer),
  }),
  spanRow(56, 'MUST', 'enums are integers; unknown ones are kept', {
    expected: '200',
    spans: () => ({ known: { kind: 3, status: { code: 2 } }, unknown: { kind: 99 } }),
    holds: ({ answer }) => isTaken(answer),
  }),
  row({
    number: 57,
    level: 'MUST',
    title: 'unknown fields are ignored at any depth',
    expected: '200',
    run: (target) => shootJson(target, unknownFields(target)),
    judge: taken,
  }),
  spanRow(58, 'tidemark', 'lowerCamelCase is taken, and the names of the protos too', {
    expected: '200',
    spans: (target) => {
      const { startTimeUnixNano, ...span } = spanJson(target);
      return {
        camel: { droppedAttributesCount: 1 },
        snake: { ...span, start_time_unix_nano: startTimeUnixNano, dropped_attributes_count: 1 },
      };
    },
    holds: ({ answer }) => isTaken(answer),
  }),
  row({
    number: 59,
    level: 'MUST',
    title: '64-bit integers are strings or numbers, and exact past 2^53',
    expected: '200; what checks histograms sees count = sum of buckets at 2^53 + 1',
    run: (target) => shootJson(target, integers(target)),
    judge: taken,
  }),
  row({
    number: 60,
    level: 'collector',
    title: 'integers out of range, and what is no integer, are errors',
    expected: '400 or the item rejected',
    run: (target) => {
      const spans: Record<string, object> = {
        'negative uint64': { startTimeUnixNano: '-1' },
        'uint32 past 2^32': { droppedAttributesCount: 4294967296 },
        'int32 past 2^31': { kind: 2147483648 },
        '"3.f14"': { attributes: [attribute({ intValue: '3.f14' })] },
        'true as int': { attributes: [attribute({ intValue: true })] },
      };
      return shootJson(target, spanCases(target, spans));
    },
    judge: (shots) => every(shots, ({ answer }) => isRefused(answer)),
  }),
  spanRow(61, 'collector', 'doubles are numbers, numeric strings, NaN and infinities', {
    expected: '200',
    spans: () =>
      Object.fromEntries(
        [1.5, '1.5', 'NaN', 'Infinity', '-Infinity'].map((doubleValue) => [
          JSON.stringify(doubleValue),
          { attributes: [attribute({ doubleValue })] },
        ]),
      ),
    holds: ({ answer }) => isTaken(answer),
  }),
  spanRow(62, 'SHOULD', 'null is an absent field (proto3 JSON)', {
    expected: '200',
    spans: () => ({
      number: { droppedAttributesCount: null },
      list: { attributes: null, events: null },
      message: { status: null },
      string: { traceState: null },
    }),
    holds: ({ answer }) => isTaken(answer),
  }),
  spanRow(63, 'proto', 'values may be empty, bytes, mixed arrays and nested', {
    expected: '200',
    spans: () => ({
      empty: { attributes: [attribute({})] },
      'mixed array': {
        attributes: [
          attribute({ arrayValue: { values: [{ stringValue: 'a' }, { intValue: '1' }, {}] } }),
        ],
      },
      nested: {
        attributes: [
          attribute({ kvlistValue: { values: [attribute({ arrayValue: { values: [] } })] } }),
        ],
      },
    }),
    holds: ({ answer }) => isTaken(answer),
  }),
  row({
    number: 64,
    level: 'collector',
    title: 'of a value given twice the last counts',
    expected: '200',
    run: (target) => {
      const twice = '{"key":"a","value":{"intValue":"1","stringValue":"b"}}';
      const body = requestJson('traces', { ...spanJson(target), attributes: ['@'] });
      return shootJson(target, [
        ['int and string', post('traces', 'json', body.replace('"@"', twice))],
      ]);
    },
    judge: taken,
  }),
  row({
    number: 65,
    level: 'tidemark',
    title: 'nesting is bounded',
    expected: '400 for 20,000 nested arrays, and 200 for the next request',
    run: (target) => shoot(target, nested(target)),
    judge: (shots) =>
      every(shots, ({ label, answer }) => (label === 'next' ? isTaken : isClientFault)(answer)),
  }),
  row({
    number: 66,
    level: 'tidemark',
    title: 'bytes after the JSON are an error; a BOM and bad UTF-8 in a string are not',
    expected: '400, 200 and 200',
    run: (target) => shootJson(target, oddTexts(target)),
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label === 'trailing' ? answer.status === 400 : isTaken(answer),
      ),
  }),
  row({
    number: 67,
    level: 'tidemark',
    title: 'protobuf: unknown fields and groups are skipped, lists packed or not, damage is 400',
    expected: '200 for what is valid, 400 for wrong wire types and cut varints',
    run: (target) => shoot(target, protobufCases(target)),
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label.startsWith('bad') ? answer.status === 400 : isTaken(answer),
      ),
  }),
  row({
    number: 68,
    level: 'collector',
    title: 'protobuf ids of another length are refused',
    expected: '400 or the item rejected',
    run: (target) => {
      if (!target.signals.includes('traces')) return shoot(target, []);
      const requests = [
        ['trace id of 15 bytes', { traceId: target.randomBytes(15) }],
        ['trace id of 17 bytes', { traceId: target.randomBytes(17) }],
        ['span id of 7 bytes', { spanId: target.randomBytes(7) }],
      ] as const;
      return shoot(
        target,
        requests.map(([label, parts]) => [
          label,
          post('traces', 'protobuf', requestBytes(spanBytes(target, parts))),
        ]),
      );
    },
    judge: (shots) => every(shots, ({ answer }) => isRefused(answer)),
  }),
];

function taken(shots: readonly Shot[]): Judgement {
  return every(shots, ({ answer }) => isTaken(answer));
}

function attribute(value: object) {
  return { key: 'check', value };
}

function shootJson(target: Target, cases: Cases): Promise<Shot[]> {
  const able = cases.filter(([, { path }]) =>
    target.signals.some((signal) => path.endsWith(signal)),
  );
  return shoot(target, target.encodings.includes('json') ? able : []);
}

function spanCases(target: Target, spans: Readonly<Record<string, object>>): Cases {
  return Object.entries(spans).map(([label, fields]) => {
    const json = requestJson('traces', { ...spanJson(target), ...fields });
    return [label, post('traces', 'json', json)];
  });
}

/** A rule about spans in JSON: `spans` are fields that replace those of a valid span, by label. */
function spanRow(
  number: number,
  level: Row['level'],
  title: string,
  rule: {
    expected: string;
    spans: (target: Target) => Readonly<Record<string, object>>;
    holds: (shot: Shot) => boolean;
  },
): Row {
  return row({
    number,
    level,
    title,
    expected: rule.expected,
    run: (target) => shootJson(target, spanCases(target, rule.spans(target))),
    judge: (shots) => every(shots, rule.holds),
  });
}

function unknownFields(target: Target): Cases {
  const extra = { notAField: { deep: [1, 'two', { three: null }] } };
  const span = {
    ...spanJson(target),
    ...extra,
    attributes: [{ ...attribute({ stringValue: 'a' }), ...extra }],
    status: { code: 1, ...extra },
  };
  const body = requestJson('traces', span).replace('{', '{"notAField":[{"a":{}}],');
  return [['at four depths', post('traces', 'json', body)]];
}

/** Histograms whose count is exact only when read as a 64-bit integer. */
function integers(target: Target): Cases {
  const { startTimeUnixNano, endTimeUnixNano, ...span } = spanJson(target);
  const times = `"startTimeUnixNano":${startTimeUnixNano},"endTimeUnixNano":${endTimeUnixNano},`;
  const numbers = requestJson('traces', span).replace('"traceId"', `${times}"traceId"`);
  const point = {
    timeUnixNano: String(target.nowNs()),
    count: '@',
    bucketCounts: ['9007199254740992', '1'],
    explicitBounds: [1],
  };
  const data = { aggregationTemporality: 2, dataPoints: [point] };
  const metric = requestJson('metrics', { name: 'tidemark.check', histogram: data });
  return [
    ['times as numbers', post('traces', 'json', numbers)],
    ['count as a string', post('metrics', 'json', metric.replace('@', large))],
    ['count as a number', post('metrics', 'json', metric.replace('"@"', large))],
  ];
}

function nested(target: Target): Cases {
  const depth = 20_000;
  const value = `${'{"arrayValue":{"values":['.repeat(depth)}{}${']}}'.repeat(depth)}`;
  const body = requestJson('traces', { ...spanJson(target), attributes: ['@'] });
  const json = body.replace('"@"', `{"key":"deep","value":${value}}`);
  const [signal = 'traces'] = target.signals;
  const [encoding = 'protobuf'] = target.encodings;
  const cases: [string, Send][] = [];
  if (target.signals.includes('traces')) {
    if (target.encodings.includes('json')) cases.push(['json', post('traces', 'json', json)]);
    const deep = bytes(9, bytes(1, 'deep'), bytes(2, nestedBytes(2000)));
    const request = requestBytes(spanBytes(target, { more: deep }));
    cases.push(['protobuf, 2,000', post('traces', 'protobuf', request)]);
  }
  return [...cases, ['next', post(signal, encoding, valid(target, signal, encoding))]];
}

/** AnyValue { array_value = 5 { values = 1 } } in itself. */
function nestedBytes(depth: number): Uint8Array {
  let value = bytes(1, 'bottom');
  for (let level = 0; level < depth; level += 1) value = bytes(5, bytes(1, value));
  return value;
}

function oddTexts(target: Target): Cases {
  const json = () => requestJson('traces', spanJson(target));
  const [before = '', after = ''] = json().split('"check"');
  const badText = join(utf8(`${before}"`), Uint8Array.of(0xff, 0xfe), utf8(`"${after}`));
  const bom = Uint8Array.of(0xef, 0xbb, 0xbf);
  return [
    ['trailing', post('traces', 'json', `${json()}x`)],
    ['BOM', post('traces', 'json', join(bom, utf8(json())))],
    ['bad UTF-8', post('traces', 'json', badText)],
  ];
}

function protobufCases(target: Target): Cases {
  const cases: [string, Send][] = [];
  const add = (label: string, signal: Signal, body: Uint8Array): void => {
    if (!target.signals.includes(signal)) return;
    cases.push([label, post(signal, 'protobuf', body)]);
  };
  for (const signal of target.signals) {
    const request = requestBytes(itemBytes(target, signal));
    const unknown = join(varint(1000, 1), fixed32(1001, 1), fixed64(1002, 1n), bytes(1003, 'x'));
    add(`unknown fields in ${signal}`, signal, join(request, unknown));
    add(`group in ${signal}`, signal, join(request, group(1004, unknown)));
    add(`bad: wire type in ${signal}`, signal, varint(1, 1));
    add(`bad: cut ${signal}`, signal, request.subarray(0, request.length - 1));
    add(`bad: cut varint in ${signal}`, signal, join(request, Uint8Array.of(0x80)));
  }
  const deep = spanBytes(target, { more: bytes(9, attributeBytes('a', 'b'), group(77)) });
  add('group in an attribute', 'traces', requestBytes(deep));
  add('packed', 'metrics', histogram(target, bytes(6, packedFixed64([1n, 2n])), packed()));
  const unpacked = join(fixed64(6, 1n), fixed64(6, 2n));
  add('unpacked', 'metrics', histogram(target, unpacked, double(7, 1)));
  return cases;
}

function packed(): Uint8Array {
  return bytes(7, packedDoubles([1]));
}

/** A request with a histogram of 3 values in 2 buckets, which are written as given. */
function histogram(target: Target, counts: Uint8Array, bounds: Uint8Array): Uint8Array {
  const point = join(fixed64(3, target.nowNs()), fixed64(4, 3n), counts, bounds);
  const data = bytes(9, bytes(1, point), varint(2, 2));
  return requestBytes(join(bytes(1, 'tidemark.check'), data));
}
