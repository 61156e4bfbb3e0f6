/** Bytes that are not OTLP: what is refused, in which words, and that nothing else ever happens. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import { DecodeError } from '../../schemas/errors.ts';
import { anyValueDepthMax } from '../../schemas/limits.ts';
import { seededRandom } from '../support/random.ts';
import { corruptions, garbage, overwrites } from './damage.ts';
import { Generator, lengthOf } from './generate.ts';
import { loadTranscoder, receipt } from './module.ts';
import { outcomeOf as outcomeOfBoth } from './outcome.ts';
import { expectSpans } from './reference.ts';
import { rowBinaryOf } from './rows.ts';
import {
  bytesField,
  fixed64Field,
  groupField,
  message,
  requestOf,
  requestWith,
  spanId,
  tag,
  textAttribute,
  traceId,
  varintField,
} from './wire.ts';

let transcoder: Transcoder;
let columns: ItemColumns;

beforeAll(async () => {
  const module = await loadTranscoder();
  transcoder = new Transcoder(module);
  columns = new ItemColumns(module, 'traces');
});

const outcomeOf = (request: Uint8Array) => outcomeOfBoth('traces', request, transcoder, columns);

const startNs = 1_700_000_000_000_000_000n;
const span = message(bytesField(1, traceId), bytesField(2, spanId), fixed64Field(7, startNs));

describe('tracesToRowBinary()', () => {
  it('names the fault and its offset', () => {
    const cases: [Uint8Array, string][] = [
      [Uint8Array.from([0x0a]), 'message ends inside a field (byte 1)'],
      [Uint8Array.from([0x0a, 5, 1]), 'length of a field passes the end of its message (byte 1)'],
      [
        Uint8Array.from([...Array<number>(10).fill(0xff), 1]),
        'varint is longer than 10 bytes (byte 0)',
      ],
      [Uint8Array.from([0x08, 1]), 'ExportTraceServiceRequest field 1 has wire type 0'],
      [Uint8Array.from([0x02, 0]), 'tag has a field number of 0'],
      [
        Uint8Array.from([0x56, 0]),
        'tag has a field number of 0 or above 2^29 - 1, or wire type 6 or 7',
      ],
      [Uint8Array.from(tag(100, 4)), 'group ends that has not begun'],
      [Uint8Array.from(tag(100, 3)), 'group ends that has not begun, or has no end'],
      [
        message(Buffer.from(tag(100, 3)), Buffer.from(tag(101, 4))),
        'group ends that has not begun',
      ],
      [requestOf(varintField(5, 1)), 'Span field 5 has wire type 0'],
      [requestOf(bytesField(16, '')), 'Span field 16 has wire type 2'],
      [requestOf(bytesField(11, varintField(2, 1))), 'Span.Event field 2 has wire type 0'],
      [requestOf(bytesField(13, varintField(1, 1))), 'Span.Link field 1 has wire type 0'],
      [requestOf(bytesField(15, varintField(2, 1))), 'Status field 2 has wire type 0'],
      [requestWith(varintField(1, 1)), 'KeyValue field 1 has wire type 0'],
      [requestWith(bytesField(2, varintField(1, 1))), 'AnyValue field 1 has wire type 0'],
      [
        requestWith(bytesField(2, bytesField(5, varintField(1, 1)))),
        'ArrayValue field 1 has wire type 0',
      ],
      [
        requestWith(bytesField(2, bytesField(6, varintField(1, 1)))),
        'KeyValueList field 1 has wire type 0',
      ],
      [bytesField(1, bytesField(1, varintField(1, 1))), 'Resource field 1 has wire type 0'],
      [bytesField(1, varintField(3, 1)), 'ResourceSpans field 3 has wire type 0'],
      [bytesField(1, bytesField(2, varintField(3, 1))), 'ScopeSpans field 3 has wire type 0'],
      [
        bytesField(1, bytesField(2, bytesField(1, varintField(1, 1)))),
        'InstrumentationScope field 1 has',
      ],
    ];
    for (const [request, text] of cases) {
      expect(outcomeOf(request)).toContain(`BAD_OTLP Cannot decode OTLP traces: ${text}`);
    }
  });

  it('gives the offset as a number too', () => {
    const request = requestWith(bytesField(1, 'needle'), varintField(1, 1));
    const byteOffset = Buffer.from(request).indexOf('needle') + 'needle'.length + 3;
    try {
      transcoder.tracesToRowBinary(request, receipt);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      expect(error).toMatchObject({ byteOffset, retryable: false });
    }
  });

  it('refuses values and groups nested deeper than the bound, and takes those at it', () => {
    const array = (depth: number): Uint8Array =>
      depth === 0 ? varintField(2, 1) : bytesField(5, bytesField(1, array(depth - 1)));
    const list = (depth: number): Uint8Array =>
      depth === 0
        ? varintField(2, 1)
        : bytesField(6, bytesField(1, bytesField(2, list(depth - 1))));
    const group = (depth: number): Uint8Array =>
      depth === 0 ? new Uint8Array() : groupField(1000, group(depth - 1));
    for (const nest of [array, list]) {
      expect(outcomeOf(requestWith(bytesField(2, nest(anyValueDepthMax))))).toBe('1 0');
      expect(outcomeOf(requestWith(bytesField(2, nest(anyValueDepthMax + 1))))).toContain(
        `values are nested deeper than ${anyValueDepthMax}`,
      );
    }
    expect(outcomeOf(group(anyValueDepthMax))).toBe('0 0');
    expect(outcomeOf(group(anyValueDepthMax + 1))).toContain('nested deeper than');
  });

  it('refuses lengths near 2^31, 2^32, 2^63 and 2^64 wherever a length stands', () => {
    const lengths = [2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 4n];
    lengths.push(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 16n);
    for (const length of lengths) {
      const bad = (field: number) => message(lengthOf(field, length), Buffer.alloc(40));
      const requests = [
        bad(1),
        bad(1000),
        groupField(1000, bad(7)),
        bytesField(1, bad(1)),
        bytesField(1, bytesField(1, bad(1))),
        bytesField(1, bytesField(2, bad(1))),
        bytesField(1, bytesField(2, bad(2))),
        ...[1, 2, 3, 4, 5, 9, 11, 13, 15, 100].map((field) => requestOf(bad(field))),
        requestWith(bad(1)),
        requestWith(bytesField(2, bad(1))),
        requestWith(bytesField(2, bytesField(5, bad(1)))),
        requestOf(bytesField(11, bad(2))),
        requestOf(bytesField(13, bad(1))),
      ];
      for (const request of requests) {
        expect(outcomeOf(request)).toMatch(/BAD_OTLP Cannot decode OTLP traces: (length|group)/);
      }
    }
  });

  it('takes the last of a repeated scalar, message or oneof member', () => {
    const name = message(span, bytesField(5, 'one'), bytesField(5, 'two'));
    const status = message(
      bytesField(15, message(bytesField(2, 'lost'), varintField(3, 2))),
      bytesField(15, varintField(3, 1)),
    );
    const value = bytesField(2, message(varintField(3, 7), bytesField(1, 'kept')));
    const request = requestOf(
      message(name, status, bytesField(9, message(bytesField(1, 'k'), value))),
    );
    const text = Buffer.from(transcoder.tracesToRowBinary(request, receipt).rows).toString(
      'latin1',
    );
    expect(text).toContain('\u0003two');
    expect(text).toContain('\u0002Ok\u0000');
    expect(text).toContain('\u0001k\u0004kept');
    expect(text).not.toMatch(/one|lost/);
  });
});

/** Requests that look like real ones, small enough to try everything at every byte. */
function samples(): Uint8Array[] {
  const attributes = [
    textAttribute('http.request.method', 'GET'),
    textAttribute('long', 'x'.repeat(200)),
    message(bytesField(1, 'n'), bytesField(2, varintField(3, -5))),
    message(
      bytesField(1, 'd'),
      bytesField(2, message(Buffer.from(tag(4, 1)), Buffer.alloc(8, 65))),
    ),
    message(
      bytesField(1, 'l'),
      bytesField(2, bytesField(6, bytesField(1, textAttribute('a', 'é')))),
    ),
  ].map((attribute) => bytesField(9, attribute));
  const event = message(
    fixed64Field(1, 5n),
    bytesField(2, 'event'),
    bytesField(3, textAttribute('k', 'v')),
  );
  const link = message(
    bytesField(1, traceId),
    bytesField(2, spanId),
    bytesField(4, textAttribute('k', 'v')),
  );
  const status = message(bytesField(2, 'bad'), varintField(3, 2));
  const whole = message(
    span,
    ...attributes,
    bytesField(11, event),
    bytesField(13, link),
    bytesField(15, status),
    groupField(100, varintField(1, 300)),
  );
  const resource = bytesField(1, bytesField(1, textAttribute('service.name', 'cart')));
  const scope = message(
    bytesField(1, bytesField(1, 'lib')),
    bytesField(2, whole),
    bytesField(2, span),
  );
  const big = message(resource, bytesField(2, scope), bytesField(3, 'https://schema'));
  return [bytesField(1, big), new Generator(seededRandom(11)).request().subarray(0, 2000)];
}

function many(bytes: Uint8Array): Uint8Array {
  return Buffer.concat(Array<Uint8Array>(100_000).fill(bytes));
}

describe('any input', () => {
  it('is taken or refused at every truncation, never a trap', () => {
    for (const sample of samples()) {
      for (let length = 0; length <= sample.length; length++) outcomeOf(sample.subarray(0, length));
    }
  });

  it('is taken as protobufjs takes it, or refused, at every corrupted byte', () => {
    let taken = 0;
    for (const sample of samples()) {
      const all = corruptions(sample, [0, 1, 0x7f, 0x80, 0xff], [1, 0x80]);
      for (const { corrupt, where } of all) {
        if (outcomeOf(corrupt).startsWith('BAD_OTLP')) continue;
        const { rows } = transcoder.tracesToRowBinary(corrupt, receipt);
        const { spans } = expectSpans(corrupt, receipt);
        const wanted = rowBinaryOf(spans, receipt.tenantId, receipt.receivedMs);
        expect(Buffer.from(rows).equals(wanted), where).toBe(true);
        taken++;
      }
    }
    expect(taken).toBeGreaterThan(1000);
  });

  it('may be garbage, alone and within each envelope', () => {
    const seed = 4_242;
    const random = seededRandom(seed);
    for (let count = 0; count < 20_000; count++) {
      const bytes = garbage(random);
      const wrapped = [
        bytes,
        bytesField(1, bytes),
        bytesField(1, bytesField(2, bytes)),
        requestOf(bytes),
        requestWith(bytes),
        requestWith(bytesField(2, bytes)),
        requestWith(bytesField(2, bytesField(6, bytesField(1, bytes)))),
        requestOf(bytesField(11, bytes)),
      ][count % 8];
      if (wrapped) outcomeOf(wrapped);
    }
  });

  it('may be a valid request with runs of bytes overwritten', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = seededRandom(seed * 65_537);
      const request = Uint8Array.from(new Generator(random).request());
      for (const damaged of overwrites(random, request)) outcomeOf(damaged);
    }
  });

  it('may be many empty things', () => {
    const emptyAttribute = many(bytesField(9, ''));
    expect(outcomeOf(many(bytesField(1, '')))).toBe('0 0');
    expect(outcomeOf(requestOf(message(span, emptyAttribute)))).toBe('1 0');
    expect(outcomeOf(requestOf(message(span, many(bytesField(11, '')))))).toBe('1 0');
    expect(outcomeOf(requestWith(bytesField(2, bytesField(5, many(bytesField(1, ''))))))).toBe(
      '1 0',
    );
    expect(outcomeOf(requestWith(bytesField(2, bytesField(6, many(bytesField(1, ''))))))).toBe(
      '1 0',
    );
  });
});
