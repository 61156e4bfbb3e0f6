/**
 * Asserts that the transcoder's rows and columns of the benchmark's requests equal what an
 * independent reading of the same requests says: protobufjs, and the tests' own encoders.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ItemColumns, Provenance, Transcoder } from '../../aggregator-as/host.ts';
import { archiveColumns } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { valuesOf } from '../../test/aggregator-as/arrow.ts';
import { loadRows } from '../../test/aggregator-as/clickhouse.ts';
import { expectHours, groupHours } from '../../test/aggregator-as/columns.ts';
import { arrived, expectLogs, logCells } from '../../test/aggregator-as/logs.ts';
import { expectPointHours } from '../../test/aggregator-as/pointcolumns.ts';
import { cellsOf, encodeRow, tableOf } from '../../test/aggregator-as/pointrows.ts';
import { expectPoints } from '../../test/aggregator-as/points.ts';
import { expectSpans } from '../../test/aggregator-as/reference.ts';
import { jsonRowOf } from '../../test/aggregator-as/rows.ts';

type Requests = readonly Uint8Array[];

/** Throws when a row of a request differs. */
export function assertRows(
  signal: Signal,
  transcoder: Transcoder,
  requests: Requests,
  provenance: Provenance,
): void {
  if (signal === 'traces') {
    assertTraceRows(transcoder, requests, provenance);
    return;
  }
  const { tenantId, receivedMs } = provenance;
  for (const request of requests) {
    const wanted = new Map<string, Buffer[]>();
    const add = (table: string, row: Buffer) => {
      wanted.set(table, [...(wanted.get(table) ?? []), row]);
    };
    if (signal === 'logs') {
      for (const log of expectLogs(request, provenance).logs) {
        add('otel_logs', encodeRow(logCells(log, tenantId, receivedMs)));
      }
    } else {
      for (const point of expectPoints(request, provenance).points) {
        add(tableOf(point), encodeRow(cellsOf(point, tenantId, receivedMs)));
      }
    }
    const { tables } = transcoder.toRowBinary(signal, request, provenance);
    assert.deepEqual(new Set(tables.map(({ table }) => table)), new Set(wanted.keys()));
    for (const { table, rows } of tables) {
      assert.ok(Buffer.concat(wanted.get(table) ?? []).equals(rows), `rows of ${table}`);
    }
  }
}

/** Through the ClickHouse engine: rows of spans hold maps, which have more than one order. */
function assertTraceRows(transcoder: Transcoder, requests: Requests, provenance: Provenance): void {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-transcode-'));
  try {
    const file = path.join(directory, 'rows.bin');
    const rows = requests.map((request) =>
      Buffer.from(transcoder.tracesToRowBinary(request, provenance).rows),
    );
    writeFileSync(file, Buffer.concat(rows));
    const wanted = requests
      .flatMap((request) => expectSpans(request, provenance).spans)
      .map((span) => jsonRowOf(span, provenance.tenantId, provenance.receivedMs));
    assert.deepEqual(loadRows(file), wanted);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Throws when a value of a column differs. Leaves the requests in `columns`. */
export function assertColumns(
  signal: Signal,
  columns: ItemColumns,
  requests: Requests,
  provenance: Provenance,
): void {
  for (const request of requests) columns.add(request, provenance);
  const hours = hoursOf(signal, requests, provenance);
  for (const [index, { name, type }] of archiveColumns[signal].entries()) {
    const values = [...columns.hours()].length === hours.length && columnOf(signal, columns, index);
    const wanted = hours.flatMap(({ rows }) => rows.map((row) => row[name]));
    assert.deepEqual(values, wanted, `${name} (${type})`);
  }
}

function hoursOf(signal: Signal, requests: Requests, provenance: Provenance) {
  if (signal === 'traces') {
    const spans = requests.flatMap((request) => expectSpans(request, provenance).spans);
    return expectHours(spans.map((span) => ({ span, provenance })));
  }
  if (signal === 'logs') {
    const logs = requests.flatMap((request) => expectLogs(request, provenance).logs);
    return groupHours(logs.map((log) => arrived({ log, provenance })));
  }
  const points = requests.flatMap((request) => expectPoints(request, provenance).points);
  return expectPointHours(points.map((point) => ({ point, provenance })));
}

/** The values of one column through all hours. */
function columnOf(signal: Signal, columns: ItemColumns, index: number): unknown[] {
  const values: unknown[] = [];
  for (const hour of columns.hours()) {
    const column = hour.columns[index];
    const type = archiveColumns[signal][index]?.type;
    if (column && type) values.push(...valuesOf(type, column));
  }
  return values;
}
