/**
 * Logs: rows and Arrow columns against protobufjs with a plain reference, rows against the ClickHouse
 * engine.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import type { HourBatch, Provenance, Transcoded } from '../../aggregator-as/host.ts';
import { archiveColumns } from '../../schemas/archive.ts';
import { seededRandom } from '../support/random.ts';
import { valuesOf } from './arrow.ts';
import { groupHours } from './columns.ts';
import { receivedMs } from './generate.ts';
import { LogGenerator, logsRequest } from './logmaker.ts';
import { arrived, expectLogs, fnv, logCells } from './logs.ts';
import type { ExpectedLogs, PlacedLog } from './logs.ts';
import { loadTableRows } from './metrictables.ts';
import { loadTranscoder, provenance as spanProvenance, receipt } from './module.ts';
import { fillBounded } from './outcome.ts';
import { encodeRow, shown } from './pointrows.ts';
import {
  bytesField,
  fixed32Field,
  fixed64Field,
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

const provenance: Provenance = { ...spanProvenance, topic: 'otlp_logs' };
const timeNs = 1_700_000_000_000_000_000n;

function toRows(request: Uint8Array): Transcoded {
  return transcoder.toRowBinary('logs', request, receipt);
}

function bytesOfRows({ tables }: Transcoded): Buffer {
  return Buffer.concat(tables.map(({ rows }) => rows));
}

function wantedRows({ logs }: ExpectedLogs): Buffer {
  const kept = logs.filter(({ quarantined }) => !quarantined);
  return Buffer.concat(
    kept.map((log) => encodeRow(logCells(log, receipt.tenantId, receipt.receivedMs))),
  );
}

function tallyOf({ logs, rejectedBy, invalidUtf8 }: ExpectedLogs) {
  return {
    accepted: logs.length,
    rejected: Object.values(rejectedBy).reduce((sum, count) => sum + count, 0),
    rejectedBy,
    quarantined: logs.filter(({ quarantined }) => quarantined).length,
    clampedDurations: 0,
    invalidUtf8,
  };
}

describe('toRowBinary() of logs', () => {
  it('writes the rows that protobufjs and the reference give for random requests', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const request = new LogGenerator(seededRandom(seed)).request();
      const expected = expectLogs(request, receipt);
      const result = toRows(request);
      const { tables, firstRejection, ...tally } = result;
      expect(tally, `seed ${seed}`).toEqual(tallyOf(expected));
      expect(firstRejection === undefined, `seed ${seed}`).toBe(tally.rejected === 0);
      const wanted = wantedRows(expected);
      expect(bytesOfRows(result).equals(wanted), `seed ${seed}`).toBe(true);
      const rowCount = expected.logs.filter(({ quarantined }) => !quarantined).length;
      const wantedTables = rowCount > 0 ? [{ table: 'otel_logs', rowCount }] : [];
      expect(tables).toMatchObject(wantedTables);
      expect(tables).toHaveLength(wantedTables.length);
    }
  });

  it('gives the rows of the whole for a request that is split between its resources', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const generator = new LogGenerator(seededRandom(seed * 31));
      const parts = Array.from({ length: 4 }, () => generator.request());
      const pieces = parts.map((part) => bytesOfRows(toRows(part)));
      const whole = bytesOfRows(toRows(Buffer.concat(parts)));
      expect(whole.equals(Buffer.concat(pieces)), `seed ${seed}`).toBe(true);
    }
  });

  it('takes time, else the observed time, else when it was received', () => {
    const cases: [Uint8Array, bigint][] = [
      [message(fixed64Field(1, timeNs + 1n), fixed64Field(11, timeNs + 2n)), timeNs + 1n],
      [message(fixed64Field(11, timeNs + 2n)), timeNs + 2n],
      [message(fixed64Field(1, 0n), fixed64Field(11, 0n)), BigInt(receivedMs) * 1_000_000n],
      [message(), BigInt(receivedMs) * 1_000_000n],
    ];
    for (const [log, wanted] of cases) {
      expect(bytesOfRows(toRows(logsRequest(log))).readBigUInt64LE()).toBe(wanted);
    }
  });

  it('quarantines by that time, at both bounds', () => {
    const earliestNs = BigInt(receivedMs - receipt.pastMaxMs) * 1_000_000n;
    const latestNs = BigInt(receivedMs + receipt.futureMaxMs) * 1_000_000n;
    const quarantined = [earliestNs - 1n, earliestNs, latestNs, latestNs + 1n, 0n].map(
      (time) => toRows(logsRequest(fixed64Field(11, time))).quarantined,
    );
    expect(quarantined).toEqual([1, 0, 0, 1, 0]);
  });

  it('says which log record was rejected first, why and where', () => {
    const good = message(fixed64Field(1, timeNs), bytesField(9, traceId), bytesField(10, spanId));
    const cases: [Uint8Array, string, string][] = [
      [bytesField(9, Buffer.alloc(15, 1)), 'trace_id_length', 'trace_id has 15 bytes, wanted 16'],
      [bytesField(9, Buffer.alloc(17)), 'trace_id_length', 'trace_id has 17 bytes, wanted 16'],
      [bytesField(10, Buffer.alloc(9, 1)), 'span_id_length', 'span_id has 9 bytes, wanted 8'],
      [
        message(bytesField(9, traceId), bytesField(10, traceId)),
        'span_id_length',
        'span_id has 16 bytes, wanted 8',
      ],
    ];
    for (const [bad, reason, text] of cases) {
      const tally = toRows(logsRequest(good, bad, bad));
      expect(tally.firstRejection).toMatch(`Cannot accept log record 1: ${text} (byte `);
      expect(tally).toMatchObject({ accepted: 1, rejected: 2, rejectedBy: { [reason]: 2 } });
    }
    const request = logsRequest(bytesField(9, 'needle'));
    const byteOffset = Buffer.from(request).indexOf('needle');
    expect(toRows(request).firstRejection).toBe(
      `Cannot accept log record 0: trace_id has 6 bytes, wanted 16 (byte ${byteOffset})`,
    );
  });

  it('takes ids of zeros, and empty ones, for none', () => {
    const zeros = message(bytesField(9, Buffer.alloc(16)), bytesField(10, Buffer.alloc(8)));
    const empty = message(bytesField(9, ''), bytesField(10, ''));
    for (const log of [zeros, empty]) {
      const result = toRows(logsRequest(log));
      expect(result).toMatchObject({ accepted: 1, rejected: 0 });
      expect([...bytesOfRows(result).subarray(8, 10)]).toEqual([0, 0]);
    }
  });

  it('takes the last of several bodies', () => {
    const log = message(bytesField(5, bytesField(1, 'lost')), bytesField(5, bytesField(1, 'kept')));
    const text = bytesOfRows(toRows(logsRequest(log))).toString('latin1');
    expect(text).toContain('\u0004kept');
    expect(text).not.toContain('lost');
  });

  it('gives bodies of every kind their string form', () => {
    const double = Buffer.from([0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
    const list = bytesField(
      6,
      message(
        bytesField(1, textAttribute('b', 'x')),
        bytesField(1, message(bytesField(1, 'a'), bytesField(2, varintField(2, 1)))),
      ),
    );
    const cases: [Uint8Array, string][] = [
      [message(), ''],
      [bytesField(1, 'plain'), 'plain'],
      [varintField(2, 1), 'true'],
      [varintField(3, -7), '-7'],
      [double, '1.5'],
      [bytesField(5, message(bytesField(1, varintField(3, 1)), bytesField(1, ''))), '[1,null]'],
      [list, '{"a":true,"b":"x"}'],
      [bytesField(7, Buffer.from('hi')), 'aGk='],
    ];
    for (const [body, wanted] of cases) {
      const rows = bytesOfRows(toRows(logsRequest(bytesField(5, body))));
      // Timestamp, two empty ids, trace flags, severity text, its number, service: then the body.
      const bytes = rows[14] ?? 0;
      expect(rows.subarray(15, 15 + bytes).toString()).toBe(wanted);
    }
  });

  it('masks the flags, and takes severity numbers beyond a byte for none', () => {
    for (const [severity, wanted] of [
      [24n, 24],
      [255n, 255],
      [256n, 0],
      [-1n, 0],
    ] as const) {
      const log = message(varintField(2, severity), fixed32Field(8, 0xffffff01));
      const rows = bytesOfRows(toRows(logsRequest(log)));
      expect({ flags: rows[10], severity: rows[12] }).toEqual({ flags: 1, severity: wanted });
    }
  });

  it('refuses with CAPACITY what needs more memory than allowed, and goes on', () => {
    const small = new Transcoder(module, { pagesMax: 4 });
    const big = logsRequest(bytesField(5, bytesField(1, Buffer.alloc(300_000, 97))));
    expect(() => small.toRowBinary('logs', big, receipt)).toThrowError(
      expect.objectContaining({
        code: 'CAPACITY',
        message: 'Cannot decode OTLP logs: they need more than the 0.25 MiB of memory allowed',
      }),
    );
    const one = small.toRowBinary('logs', logsRequest(message()), receipt);
    expect(one.tables).toMatchObject([{ table: 'otel_logs', rowCount: 1 }]);
  });

  it('may be followed by a request of another signal in the same transcoder', () => {
    const span = message(bytesField(1, traceId), bytesField(2, spanId), fixed64Field(7, timeNs));
    const request = bytesField(1, bytesField(2, bytesField(2, span)));
    toRows(logsRequest(message()));
    expect(transcoder.toRowBinary('traces', request, receipt).tables).toMatchObject([
      { table: 'otel_traces', rowCount: 1 },
    ]);
    expect(toRows(logsRequest(message(), message())).accepted).toBe(2);
  });
});

describe('rows in the ClickHouse engine', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-logs-'));

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('equal the reference, cell by cell', () => {
    const generator = new LogGenerator(seededRandom(20_261_122));
    const pieces: Buffer[] = [];
    const wanted: unknown[][] = [];
    for (let count = 0; count < 300; count++) {
      const request = generator.request();
      pieces.push(bytesOfRows(toRows(request)));
      const logs = expectLogs(request, receipt).logs.filter(({ quarantined }) => !quarantined);
      wanted.push(...logs.map((log) => logCells(log, receipt.tenantId, receivedMs).map(shown)));
    }
    const file = path.join(directory, 'rows.bin');
    writeFileSync(file, Buffer.concat(pieces));
    expect(wanted.length).toBeGreaterThan(500);
    expect(loadTableRows('otel_logs', file)).toEqual(wanted);
  });
});

function placedOf(request: Uint8Array, from: Provenance): PlacedLog[] {
  return expectLogs(request, from).logs.map((log) => ({ log, provenance: from }));
}

function expectBatch(batch: HourBatch, rows: Record<string, unknown>[]): void {
  for (const [index, { name, type }] of archiveColumns.logs.entries()) {
    const column = batch.columns[index];
    if (!column) throw new Error(`no column ${name}`);
    const values = valuesOf(type, column);
    expect(values, name).toEqual(rows.map((row) => row[name]));
    expect(column.nullCount, name).toBe(values.filter((value) => value === null).length);
  }
  const times = rows.map((row) => row['Timestamp'] as bigint);
  expect(batch.timeMinNs).toBe(times.reduce((least, time) => (time < least ? time : least)));
  expect(batch.timeMaxNs).toBe(times.reduce((most, time) => (time > most ? time : most)));
  expect(Buffer.from(batch.sortIds).toString('hex')).toBe(
    rows.map((row) => row['SortKey']).join(''),
  );
}

function expectColumns(columns: ItemColumns, placed: readonly PlacedLog[]): void {
  const hours = groupHours(placed.map(arrived));
  let index = 0;
  for (const batch of columns.hours()) {
    const { hourMs, quarantined, rows = [] } = hours[index] ?? {};
    expect(batch).toMatchObject({ signal: 'logs', hourMs, quarantined, rows: rows.length });
    expectBatch(batch, rows);
    index++;
  }
  expect(index).toBe(hours.length);
}

describe('ItemColumns of logs', () => {
  it('gives the columns that protobufjs and the reference give for random requests', () => {
    const columns = new ItemColumns(module, 'logs');
    for (let seed = 1; seed <= 30; seed++) {
      columns.reset();
      const generator = new LogGenerator(seededRandom(seed * 7919));
      const placed: PlacedLog[] = [];
      for (let count = 0; count < 1 + (seed % 10); count++) {
        const request = generator.request();
        const from = { ...provenance, offset: BigInt(count), tenantId: `tenant-${count % 3}` };
        columns.add(request, from);
        placed.push(...placedOf(request, from));
      }
      expect(columns.rowCount).toBe(placed.length);
      expectColumns(columns, placed);
    }
  });

  it('counts as the Transcoder does, request by request', () => {
    const columns = new ItemColumns(module, 'logs');
    for (let seed = 1; seed <= 300; seed++) {
      const request = new LogGenerator(seededRandom(seed * 104_729)).request();
      const { tables: _tables, ...tally } = toRows(request);
      expect(columns.add(request, provenance), `seed ${seed}`).toEqual(tally);
    }
  });

  it('sorts thousands of records of few services and times, equal ones by arrival', () => {
    const columns = new ItemColumns(module, 'logs');
    const random = seededRandom(77);
    const placed: PlacedLog[] = [];
    for (let part = 0; part < 40; part++) {
      const service = textAttribute('service.name', `service-${part % 3}`);
      const logs = Array.from({ length: 100 }, () =>
        message(
          fixed64Field(1, timeNs + BigInt(Math.floor(random() * 7))),
          bytesField(5, bytesField(1, `line ${Math.floor(random() * 3)}`)),
        ),
      );
      const records = message(...logs.map((log) => bytesField(2, log)));
      const request = bytesField(
        1,
        message(bytesField(1, bytesField(1, service)), bytesField(2, records)),
      );
      columns.add(request, provenance);
      placed.push(...placedOf(request, provenance));
    }
    expectColumns(columns, placed);
  });

  it('gives a request that came twice the same hashes and occurrences', () => {
    const line = message(fixed64Field(1, timeNs), bytesField(5, bytesField(1, 'again')));
    const other = message(fixed64Field(1, timeNs), bytesField(5, bytesField(1, 'other')));
    const request = logsRequest(line, line, other, line);
    const columns = new ItemColumns(module, 'logs');
    const identities = [1n, 2n].map((offset) => {
      columns.reset();
      columns.add(request, { ...provenance, offset, receivedMs: receivedMs + Number(offset) });
      const [batch] = columns.hours();
      const [hash, occurrence] = (['id16', 'uint32'] as const).map((type, index) =>
        valuesOf(type, batch?.columns[index + 1] ?? { length: 0, nullCount: 0 }),
      );
      return hash?.map((value, row) => `${String(value)} ${String(occurrence?.[row])}`);
    });
    expect(identities[0]).toEqual(identities[1]);
    expect(new Set(identities[0]).size).toBe(4);
    expect(new Set(identities[0]?.map((text) => text.slice(0, 32))).size).toBe(2);
  });

  it('keeps nothing of a request that cannot be decoded, and what was there before', () => {
    const columns = new ItemColumns(module, 'logs');
    const good = logsRequest(message(fixed64Field(1, timeNs), bytesField(12, 'first')));
    columns.add(good, provenance);
    const truncated = logsRequest(message(fixed64Field(1, timeNs)), message()).subarray(0, -1);
    expect(() => columns.add(truncated, provenance)).toThrowError(
      expect.objectContaining({ code: 'BAD_OTLP' }),
    );
    const third = logsRequest(bytesField(12, 'third'));
    columns.add(third, provenance);
    expectColumns(columns, [...placedOf(good, provenance), ...placedOf(third, provenance)]);
  });

  it('stays whole at any bound on its memory', () => {
    const refused = fillBounded({
      module,
      signal: 'logs',
      seeds: 30,
      requests: 60,
      pages: [8, 8],
      generator: (random) => new LogGenerator(random),
      placedOf: (request) => placedOf(request, provenance),
      expectColumns,
    });
    expect(refused).toBeGreaterThan(100);
  });
});

it('fnv() of the reference gives the test vectors of the draft that has the algorithm', () => {
  const vectors = { '': 'cbf29ce484222325', a: 'af63dc4c8601ec8c', foobar: '85944171f73967e8' };
  for (const [text, hash] of Object.entries(vectors)) {
    expect(fnv(Buffer.from(text)).toString('hex')).toBe(hash);
  }
});
