/** Arrow columns, read through apache-arrow, against protobufjs with a plain reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import type { HourBatch, Provenance } from '../../aggregator-as/host.ts';
import { traceColumns } from '../../schemas/archive.ts';
import { openHoursMax } from '../../schemas/limits/archive.ts';
import { seededRandom } from '../support/random.ts';
import { valuesOf } from './arrow.ts';
import { expectHours } from './columns.ts';
import type { Placed } from './columns.ts';
import { Generator } from './generate.ts';
import { loadTranscoder, provenance, receipt } from './module.ts';
import { fillBounded } from './outcome.ts';
import { expectSpans } from './reference.ts';
import { bytesField, fixed64Field, message, requestOf, spanId, traceId } from './wire.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await loadTranscoder();
});

const startNs = 1_700_000_000_000_000_000n;

function span(...fields: Uint8Array[]): Uint8Array {
  return message(
    bytesField(1, traceId),
    bytesField(2, spanId),
    fixed64Field(7, startNs),
    ...fields,
  );
}

function placedOf(request: Uint8Array, from: Provenance): Placed[] {
  return expectSpans(request, from).spans.map((each) => ({ span: each, provenance: from }));
}

function expectBatch(batch: HourBatch, rows: Record<string, unknown>[]): void {
  for (const [index, { name, type }] of traceColumns.entries()) {
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
    rows.map((row) => row['TraceId']).join(''),
  );
}

function expectColumns(columns: ItemColumns, placed: readonly Placed[]): void {
  const hours = expectHours(placed);
  let index = 0;
  for (const batch of columns.hours()) {
    const { hourMs, quarantined, rows = [] } = hours[index] ?? {};
    expect(batch).toMatchObject({ hourMs, quarantined, rows: rows.length });
    expectBatch(batch, rows);
    index++;
  }
  expect(index).toBe(hours.length);
}

describe('ItemColumns', () => {
  it('gives the columns that protobufjs and the reference give for random requests', () => {
    const columns = new ItemColumns(module, 'traces');
    for (let seed = 1; seed <= 30; seed++) {
      columns.reset();
      const generator = new Generator(seededRandom(seed * 7919));
      const placed: Placed[] = [];
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
    const columns = new ItemColumns(module, 'traces');
    const transcoder = new Transcoder(module);
    for (let seed = 1; seed <= 300; seed++) {
      const request = new Generator(seededRandom(seed * 104_729)).request();
      const {
        rows: _rows,
        rowCount: _rowCount,
        ...tally
      } = transcoder.tracesToRowBinary(request, receipt);
      expect(columns.add(request, provenance), `seed ${seed}`).toEqual(tally);
    }
  });

  it('can give the hours again, and more of them after another request', () => {
    const columns = new ItemColumns(module, 'traces');
    const generator = new Generator(seededRandom(5));
    const placed: Placed[] = [];
    for (let count = 0; count < 4; count++) {
      const request = generator.request();
      columns.add(request, provenance);
      placed.push(...placedOf(request, provenance));
      expectColumns(columns, placed);
    }
    expectColumns(columns, placed);
  });

  it('sorts spans of one trace by span id, and equal ones by arrival', () => {
    const columns = new ItemColumns(module, 'traces');
    const ids = Array.from({ length: 300 }, (_, index) =>
      Buffer.alloc(8, 1 + ((index * 37) % 100)),
    );
    const spans = ids.map((id, index) =>
      message(
        bytesField(1, traceId),
        bytesField(2, id),
        bytesField(5, `${index}`),
        fixed64Field(7, startNs),
      ),
    );
    columns.add(requestOf(...spans), provenance);
    expectColumns(columns, placedOf(requestOf(...spans), provenance));
  });

  it('keeps nothing of a request that cannot be decoded, and what was there before', () => {
    const columns = new ItemColumns(module, 'traces');
    const good = requestOf(span(bytesField(5, 'first')));
    columns.add(good, provenance);
    const truncated = requestOf(span(bytesField(5, 'second')), span()).subarray(0, -1);
    expect(() => columns.add(truncated, provenance)).toThrowError(
      expect.objectContaining({ code: 'BAD_OTLP' }),
    );
    expect({ rows: columns.rowCount, bytes: columns.requestBytes }).toEqual({
      rows: 1,
      bytes: good.length,
    });
    const third = requestOf(span(bytesField(5, 'third')));
    columns.add(third, provenance);
    expectColumns(columns, [...placedOf(good, provenance), ...placedOf(third, provenance)]);
  });

  it('refuses with CAPACITY at the bound, keeps what it has, and starts anew after reset()', () => {
    const columns = new ItemColumns(module, 'traces', { pagesMax: 16 });
    const request = requestOf(span(bytesField(5, Buffer.alloc(20_000, 97))));
    const wanted: Placed[] = [];
    const fill = () => {
      for (;;) {
        columns.add(request, provenance);
        wanted.push(...placedOf(request, provenance));
      }
    };
    expect(fill).toThrowError(expect.objectContaining({ code: 'CAPACITY' }));
    expect(columns.rowCount).toBe(wanted.length);
    expect(wanted.length).toBeGreaterThan(10);
    columns.reset();
    columns.add(request, provenance);
    expectColumns(columns, wanted.slice(0, 1));
  });

  it('stays whole at any bound on its memory', () => {
    const refused = fillBounded({
      module,
      signal: 'traces',
      seeds: 60,
      requests: 40,
      pages: [8, 12],
      generator: (random) => new Generator(random),
      placedOf: (request) => placedOf(request, provenance),
      expectColumns,
    });
    expect(refused).toBeGreaterThan(100);
  });

  it('keeps tens of thousands of distinct names and ids apart', () => {
    const columns = new ItemColumns(module, 'traces');
    const placed: Placed[] = [];
    for (let part = 0; part < 4; part++) {
      const spans = Array.from({ length: 6000 }, (_, index) => {
        const id = Buffer.alloc(16, 7);
        id.writeUInt32BE(Math.imul(part * 6000 + index, 0x9e3779b1) >>> 0, 4);
        const name = bytesField(5, `operation ${part * 4000 + index}`);
        return message(bytesField(1, id), bytesField(2, spanId), name, fixed64Field(7, startNs));
      });
      columns.add(requestOf(...spans), provenance);
      placed.push(...placedOf(requestOf(...spans), provenance));
    }
    expectColumns(columns, placed);
  });

  it('quarantines the spans of hours past the bound on open hours', () => {
    const columns = new ItemColumns(module, 'traces');
    const patient = { ...provenance, pastMaxMs: 10_000 * 3_600_000 };
    const count = openHoursMax + 10;
    const spans = Array.from({ length: count }, (_, hour) => {
      const time = startNs - BigInt(hour) * 3_600_000_000_000n;
      return message(bytesField(1, traceId), bytesField(2, spanId), fixed64Field(7, time));
    });
    expect(columns.add(requestOf(...spans), patient)).toMatchObject({
      accepted: count,
      quarantined: 10,
    });
    const hours = [...columns.hours()].map(({ hourMs, quarantined, rows }) => ({
      hourMs,
      quarantined,
      rows,
    }));
    expect(hours.length).toBe(openHoursMax + 1);
    expect(hours.at(-1)).toEqual({ hourMs: 1_699_999_200_000, quarantined: true, rows: 10 });
    expect(hours.slice(0, -1).every(({ rows, quarantined }) => rows === 1 && !quarantined)).toBe(
      true,
    );
  });

  it('gives no hours without spans', () => {
    const columns = new ItemColumns(module, 'traces');
    columns.add(new Uint8Array(), provenance);
    expect([...columns.hours()]).toEqual([]);
  });

  it('says when hours() was overtaken by add()', () => {
    const columns = new ItemColumns(module, 'traces');
    columns.add(requestOf(span()), provenance);
    const hours = columns.hours();
    const second = requestOf(message(bytesField(1, traceId), bytesField(2, spanId)));
    columns.add(second, provenance);
    const overtaken = columns.hours();
    overtaken.next();
    columns.add(second, provenance);
    expect(() => overtaken.next()).toThrowError('Bug: hours() was called again');
    expect(hours.next().done).toBe(false);
  });
});
