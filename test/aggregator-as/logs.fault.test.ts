/** Bytes that are not a logs request: what is refused, in which words, and that nothing else happens. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import { anyValueDepthMax } from '../../schemas/limits.ts';
import { seededRandom } from '../support/random.ts';
import { corruptions, garbage, overwrites } from './damage.ts';
import { lengthOf } from './generate.ts';
import { LogGenerator, logsRequest } from './logmaker.ts';
import { expectLogs, logCells } from './logs.ts';
import { loadTranscoder, receipt } from './module.ts';
import { outcomeOf as outcomeOfBoth } from './outcome.ts';
import { encodeRow } from './pointrows.ts';
import {
  bytesField,
  fixed32Field,
  fixed64Field,
  groupField,
  message,
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
  columns = new ItemColumns(module, 'logs');
});

const outcomeOf = (request: Uint8Array) => outcomeOfBoth('logs', request, transcoder, columns);

function rowsOf(request: Uint8Array): Buffer {
  const { tables } = transcoder.toRowBinary('logs', request, receipt);
  return Buffer.concat(tables.map(({ rows }) => rows));
}

function many(bytes: Uint8Array): Uint8Array {
  return Buffer.concat(Array<Uint8Array>(100_000).fill(bytes));
}

const log = message(fixed64Field(1, 1_700_000_000_000_000_000n), varintField(2, 9));

describe('toRowBinary() of logs', () => {
  it('names the fault and its offset', () => {
    const cases: [Uint8Array, string][] = [
      [Uint8Array.from([0x0a]), 'message ends inside a field (byte 1)'],
      [Uint8Array.from([0x0a, 5, 1]), 'length of a field passes the end of its message (byte 1)'],
      [Uint8Array.from([0x08, 1]), 'ExportLogsServiceRequest field 1 has wire type 0'],
      [bytesField(1, varintField(3, 1)), 'ResourceLogs field 3 has wire type 0'],
      [bytesField(1, bytesField(2, varintField(3, 1))), 'ScopeLogs field 3 has wire type 0'],
      [bytesField(1, bytesField(2, varintField(2, 1))), 'ScopeLogs field 2 has wire type 0'],
      ...[1, 3, 5, 6, 8, 9, 10, 11, 12].map((field): [Uint8Array, string] => [
        logsRequest(varintField(field, 1)),
        `LogRecord field ${field} has wire type 0`,
      ]),
      ...[2, 7].map((field): [Uint8Array, string] => [
        logsRequest(bytesField(field, '')),
        `LogRecord field ${field} has wire type 2`,
      ]),
      [logsRequest(bytesField(5, varintField(1, 1))), 'AnyValue field 1 has wire type 0'],
      [logsRequest(bytesField(6, varintField(1, 1))), 'KeyValue field 1 has wire type 0'],
    ];
    for (const [request, text] of cases) {
      expect(outcomeOf(request)).toContain(`BAD_OTLP Cannot decode OTLP logs: ${text}`);
    }
  });

  it('refuses bodies nested deeper than the bound, and takes those at it', () => {
    const array = (depth: number): Uint8Array =>
      depth === 0 ? varintField(2, 1) : bytesField(5, bytesField(1, array(depth - 1)));
    expect(outcomeOf(logsRequest(bytesField(5, array(anyValueDepthMax))))).toBe('1 0');
    expect(outcomeOf(logsRequest(bytesField(5, array(anyValueDepthMax + 1))))).toContain(
      `values are nested deeper than ${anyValueDepthMax}`,
    );
  });

  it('refuses lengths near 2^31, 2^32, 2^63 and 2^64 wherever a length stands', () => {
    const lengths = [2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 4n];
    lengths.push(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 16n);
    for (const length of lengths) {
      const bad = (field: number) => message(lengthOf(field, length), Buffer.alloc(40));
      const requests = [
        ...[3, 5, 6, 9, 10, 12, 100].map((field) => logsRequest(bad(field))),
        ...[1, 5, 6, 7].map((field) => logsRequest(bytesField(5, bad(field)))),
        logsRequest(bytesField(6, bad(1))),
      ];
      for (const request of requests) {
        expect(outcomeOf(request)).toMatch(/BAD_OTLP Cannot decode OTLP logs: (length|group)/);
      }
    }
  });

  it('may be many empty things', () => {
    expect(outcomeOf(many(bytesField(1, '')))).toBe('0 0');
    expect(outcomeOf(bytesField(1, bytesField(2, many(bytesField(2, '')))))).toBe('100000 0');
    expect(outcomeOf(logsRequest(many(bytesField(6, ''))))).toBe('1 0');
    expect(outcomeOf(logsRequest(bytesField(5, bytesField(5, many(bytesField(1, ''))))))).toBe(
      '1 0',
    );
  });
});

/** Requests that look like real ones, small enough to try everything at every byte. */
function samples(): Uint8Array[] {
  const list = bytesField(6, bytesField(1, textAttribute('a', 'é')));
  const whole = message(
    log,
    bytesField(3, 'INFO'),
    bytesField(5, list),
    bytesField(6, textAttribute('long', 'x'.repeat(150))),
    bytesField(6, message(bytesField(1, 'n'), bytesField(2, varintField(3, -5)))),
    varintField(7, 3),
    fixed32Field(8, 1),
    bytesField(9, traceId),
    bytesField(10, spanId),
    fixed64Field(11, 1_700_000_000_000_000_001n),
    bytesField(12, 'event'),
    groupField(100, varintField(1, 300)),
  );
  const resource = bytesField(1, bytesField(1, textAttribute('service.name', 'cart')));
  const scope = message(
    bytesField(1, bytesField(1, 'lib')),
    bytesField(2, whole),
    bytesField(2, log),
  );
  const big = message(resource, bytesField(2, scope), bytesField(3, 'https://schema'));
  return [bytesField(1, big), new LogGenerator(seededRandom(28)).request().subarray(0, 1500)];
}

describe('any input', () => {
  it('is taken or refused at every truncation, never a trap', () => {
    for (const sample of samples()) {
      expect(sample.length).toBeGreaterThan(300);
      for (let length = 0; length <= sample.length; length++) outcomeOf(sample.subarray(0, length));
    }
  });

  it('is taken as protobufjs takes it, or refused, at every corrupted byte', () => {
    let taken = 0;
    for (const sample of samples()) {
      for (const { corrupt, where } of corruptions(sample, [0, 0x7f, 0x80, 0xff], [1])) {
        if (outcomeOf(corrupt).startsWith('BAD_OTLP')) continue;
        const logs = expectLogs(corrupt, receipt).logs.filter(({ quarantined }) => !quarantined);
        const cells = logs.map((each) => logCells(each, receipt.tenantId, receipt.receivedMs));
        const wanted = Buffer.concat(cells.map(encodeRow));
        expect(rowsOf(corrupt).equals(wanted), where).toBe(true);
        taken++;
      }
    }
    expect(taken).toBeGreaterThan(1000);
  });

  it('may be garbage, alone and within each envelope', () => {
    const seed = 4_243;
    const random = seededRandom(seed);
    for (let count = 0; count < 10_000; count++) {
      const bytes = garbage(random);
      const wrapped = [
        bytes,
        bytesField(1, bytes),
        bytesField(1, bytesField(2, bytes)),
        logsRequest(bytes),
        logsRequest(bytesField(5, bytes)),
        logsRequest(bytesField(6, bytes)),
        logsRequest(bytesField(5, bytesField(6, bytesField(1, bytes)))),
      ][count % 7];
      if (wrapped) outcomeOf(wrapped);
    }
  });

  it('may be a valid request with runs of bytes overwritten', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed * 65_537);
      const request = Uint8Array.from(new LogGenerator(random).request());
      for (const damaged of overwrites(random, request)) outcomeOf(damaged);
    }
  });

  it('may be tags of every field and wire type before a valid record', () => {
    for (let field = 1; field <= 16; field++) {
      for (let type = 0; type < 8; type++) {
        outcomeOf(logsRequest(message(Buffer.from(tag(field, type)), Buffer.alloc(12), log)));
      }
    }
  });
});
