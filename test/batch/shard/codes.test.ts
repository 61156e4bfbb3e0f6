import { readParquet, wasmMemory } from 'parquet-wasm/node';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArrowBatch } from '../../../batch/shard/arrow.ts';
import { mapCodes } from '../../../batch/shard/codes.ts';
import { LogColumnMap, logColumns, LogNames } from '../../../batch/logs/columns.ts';
import { PointColumnMap, pointColumns, SeriesNames } from '../../../batch/metrics/columns.ts';
import { Names } from '../../../batch/shard/names.ts';
import { archiveColumns, type Signal } from '../../../schemas/archive.ts';
import { ItemColumns } from '../../../aggregator-as/host.ts';
import { pointKinds, pointModes } from '../../../aggregator-as/pointkernel.ts';
import { encodeParquet } from '../../../workers/parquet.ts';
import { loadTranscoder } from '../../aggregator-as/module.ts';
import { encodeRequest } from '../../support/otlp.ts';

let module: WebAssembly.Module;
const receivedMs = Date.parse('2026-10-01T10:00:00Z');
const timeUnixNano = `${receivedMs}000000`;
const resource = {
  attributes: [{ key: 'service.name', value: { stringValue: 'cart' } }],
};

beforeAll(async () => {
  module = await loadTranscoder();
});

/** Calls `use` with the record batch of a request's file. */
function withFile<T>(signal: Signal, request: Uint8Array, use: (arrow: ArrowBatch) => T): T {
  const columns = new ItemColumns(module, signal);
  const place = { topic: 't', partition: 3, offset: 9n, pastMaxMs: 1e9, futureMaxMs: 1e9 };
  columns.add(request, { tenantId: 'acme', receivedMs, ...place });
  const [hour] = columns.hours();
  if (hour === undefined) throw new Error('Bug: a request without items');
  const exported = readParquet(encodeParquet(hour).bytes, { batchSize: 10_000 });
  const batch = exported.recordBatch(0)?.intoFFI();
  if (batch === undefined) throw new Error('Bug: a file without rows');
  try {
    return use(new ArrowBatch(wasmMemory(), batch.arrayAddr(), batch.schemaAddr()));
  } finally {
    batch.free();
  }
}

function namesOf(signal: Signal): string[] {
  return archiveColumns[signal].map(({ name }) => name);
}

function point(value: Record<string, unknown>, second: number) {
  return { timeUnixNano: `${receivedMs + second}000000`, ...value };
}

describe('the columns that the batch reads', () => {
  it('are columns of the archive', () => {
    expect(namesOf('logs')).toEqual(expect.arrayContaining(logColumns));
    expect(namesOf('metrics')).toEqual(expect.arrayContaining(pointColumns));
  });
});

describe('LogColumnMap.columns()', () => {
  it('numbers severities of any number, and cuts bodies with the rows', () => {
    const numbers = [9, 31, 0, 9, 2 ** 31 - 1, -5];
    const logRecords = numbers.map((severityNumber, i) => ({
      timeUnixNano: `${receivedMs + i}000000`,
      severityNumber,
      severityText: i === 3 ? 'a b' : 'x',
      body: { stringValue: `body ${i}` },
    }));
    const request = encodeRequest('logs', {
      resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }],
    });
    withFile('logs', request, (arrow) => {
      const names = new LogNames();
      const slice = { arrow, from: 1, to: 6, hourMs: receivedMs };
      const columns = new LogColumnMap(names).columns(slice);
      const buckets = names.buckets();
      const found = Array.from(columns.buckets, (code) => buckets[code]);
      expect(found.map((bucket) => bucket?.severityNumber)).toEqual(numbers.slice(1));
      expect(found.map((bucket) => bucket?.severityText)).toEqual(['x', 'x', 'a b', 'x', 'x']);
      expect(new Set(found.map((bucket) => bucket?.hourMs))).toEqual(new Set([receivedMs]));
      const bodies = Array.from({ length: 5 }, (_, i) => {
        const [start, end] = [columns.bodyOffsets[i], columns.bodyOffsets[i + 1]];
        return Buffer.from(columns.bodies.subarray(start, end)).toString();
      });
      expect(bodies).toEqual([1, 2, 3, 4, 5].map((i) => `body ${i}`));
    });
  });
});

describe('PointColumnMap.columns()', () => {
  it('tells ints, doubles, histograms, missing values and temporalities apart', () => {
    const histogram = { count: 3, explicitBounds: [1, 2], bucketCounts: [1, 2, 0] };
    const metrics = [
      { name: 'a', gauge: { dataPoints: [point({ asInt: '-5' }, 1), point({ asDouble: -0 }, 2)] } },
      { name: 'b', sum: { aggregationTemporality: 1, dataPoints: [point({ flags: 1 }, 3)] } },
      {
        name: 'c',
        histogram: { aggregationTemporality: 2, dataPoints: [point({ ...histogram, max: 2 }, 4)] },
      },
      { name: 'd', summary: { dataPoints: [point({ count: 2, sum: 3 }, 5)] } },
    ];
    const request = encodeRequest('metrics', {
      resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 's' }, metrics }] }],
    });
    withFile('metrics', request, (arrow) => {
      const columns = new PointColumnMap(new Names('tenant', 9)).columns({
        arrow,
        from: 0,
        to: 5,
        hourMs: receivedMs,
      });
      const names = new SeriesNames(arrow);
      const rows = Array.from({ length: 5 }, (_, row) => ({
        name: names.name(row).metricName,
        kind: columns.kinds[row],
        mode: columns.modes[row],
        value: columns.values[row],
        count: columns.counts[row],
        marks: columns.marks[row],
        bounds: (columns.boundOffsets[row + 1] ?? 0) - (columns.boundOffsets[row] ?? 0),
      }));
      const byTime = rows.toSorted((a, b) =>
        a.name === b.name ? Number(a.kind === pointKinds.double) : a.name < b.name ? -1 : 1,
      );
      const none = { mode: pointModes.none, bounds: 0 };
      expect(byTime).toMatchObject([
        { ...none, name: 'a', kind: pointKinds.int, value: -5n },
        { ...none, name: 'a', kind: pointKinds.double, value: -(2n ** 63n) },
        { ...none, name: 'b', kind: pointKinds.none, mode: pointModes.delta, value: 0n },
        {
          name: 'c',
          kind: pointKinds.histogram,
          mode: pointModes.cumulative,
          count: 3n,
          // Neither a sum nor a least value were sent.
          marks: 5,
          bounds: 2,
        },
        // Its count and sum are totals.
        { bounds: 0, name: 'd', kind: pointKinds.summary, mode: pointModes.cumulative },
      ]);
      expect([...columns.bounds.subarray(0, 2)]).toEqual([1, 2]);
      expect([...columns.buckets.subarray(0, 3)]).toEqual([1n, 2n, 0n]);
      expect(names.name(0)).toMatchObject({
        serviceName: 'cart',
        scopeName: 's',
        resourceAttributes: [['service.name', 'cart']],
        attributes: [],
      });
    });
  });
});

it('mapCodes() looks each value up once, and fills the rows that are asked for', () => {
  const log = { timeUnixNano, severityText: 'INFO' };
  const logRecords = [log, { ...log, severityText: 'WARN' }, log];
  const request = encodeRequest('logs', {
    resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }],
  });
  withFile('logs', request, (arrow) => {
    const asked: string[] = [];
    const target = new Uint8Array(3);
    const codes = mapCodes(arrow, 'SeverityText', { from: 1, to: 3 }, target, (text) => {
      asked.push(text);
      return text.length;
    });
    expect(asked.toSorted()).toEqual(['INFO', 'WARN']);
    expect([...codes]).toEqual([4, 4]);
  });
});
