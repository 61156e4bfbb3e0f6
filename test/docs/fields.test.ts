/** docs/FIELDS.md against the official protos and the columns that the programs write. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { archiveColumns } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { speedTables, tablesOf } from '../../schemas/tables.ts';

const top = path.join(import.meta.dirname, '../..');
const root = new protobuf.Root();
root.resolvePath = (_, target) => path.join(top, 'schemas/otlp', target);
root.loadSync(
  ['trace', 'logs', 'metrics'].map((name) => `opentelemetry/proto/${name}/v1/${name}.proto`),
  { keepCase: true },
);

interface Table {
  /** Heading of the second level. */
  readonly part: string;
  /** Heading of the third level: mostly a message's name. */
  readonly name: string;
  readonly rows: string[][];
}

/** The tables of the document; a heading may have several. */
function tables(): Table[] {
  const found: Table[] = [];
  let part = '';
  for (const line of readFileSync(path.join(top, 'docs/FIELDS.md'), 'utf8').split('\n')) {
    if (line.startsWith('## ')) part = line.slice(3);
    if (line.startsWith('### ')) found.push({ part, name: line.slice(4), rows: [] });
    const cells = line.split('|').slice(1, -1);
    if (cells.length > 0 && !line.startsWith('| -')) found.at(-1)?.rows.push(cells);
  }
  return found;
}

const all = tables();

/** What stands in backticks, but for examples of values and names of attributes. */
function names(cell = ''): string[] {
  return [...cell.matchAll(/(?<!as )`([A-Z][\w.]*)`/g)].map((match) => match[1] ?? '');
}

const signals: Partial<Record<string, Signal[]>> = {
  Traces: ['traces'],
  Logs: ['logs'],
  Metrics: ['metrics'],
  'All signals': ['traces', 'logs', 'metrics'],
};

function fieldsOf(message: string): string[] {
  return root.lookupType(message).fieldsArray.map(({ name }) => name);
}

describe('docs/FIELDS.md', () => {
  it('has a row for every field of each message, and for no other', () => {
    const messages = all.filter(({ name }) => !name.startsWith('What'));
    expect(messages.length).toBeGreaterThan(10);
    for (const { name, rows } of messages) {
      const listed = rows.flatMap(([first]) => /^ `(\w+)`/.exec(first ?? '')?.[1] ?? []);
      expect(listed, name).toEqual(fieldsOf(name));
    }
  });

  it('has every message that a request of a signal can hold', () => {
    const listed = new Set(all.map(({ name }) => name));
    const traces = ['ResourceSpans', 'ScopeSpans', 'Span', 'Span.Event', 'Span.Link', 'Status'];
    const logs = ['ResourceLogs', 'ScopeLogs', 'LogRecord'];
    const metrics = ['Resource', 'Scope'].map((owner) => `${owner}Metrics`);
    metrics.push('Metric', 'Gauge', 'Sum', 'Histogram', 'ExponentialHistogram', 'Summary');
    const points = ['Number', 'Histogram', 'ExponentialHistogram', 'Summary'];
    metrics.push(...points.map((kind) => `${kind}DataPoint`), 'Exemplar');
    metrics.push('ExponentialHistogramDataPoint.Buckets', 'SummaryDataPoint.ValueAtQuantile');
    const shared = ['Resource', 'InstrumentationScope', 'AnyValue'];
    expect([...traces, ...logs, ...metrics, ...shared].filter((name) => !listed.has(name))).toEqual(
      [],
    );
  });

  it('names columns that there are', () => {
    for (const { part, name, rows } of all) {
      const own = signals[part] ?? [];
      const speed = new Set<string>(
        own.flatMap((signal) => tablesOf[signal].flatMap((table) => [...speedTables[table]])),
      );
      const archive = new Set(
        own.flatMap((signal) => archiveColumns[signal].map((column) => column.name)),
      );
      for (const [, clickhouse, parquet] of name === 'AnyValue' ? [] : rows.slice(1)) {
        expect(
          names(clickhouse).filter((column) => !speed.has(column)),
          name,
        ).toEqual([]);
        expect(
          names(parquet).filter((column) => !archive.has(column)),
          name,
        ).toEqual([]);
      }
    }
  });

  it.each(['Traces', 'Logs', 'Metrics'].filter((part) => all.some((table) => table.part === part)))(
    'names every column of %s',
    (part) => {
      const [signal] = signals[part] ?? [];
      const rows = all
        .filter((table) => table.part === part || table.part === 'All signals')
        .flatMap((table) => table.rows);
      const speed = new Set(rows.flatMap(([, cell]) => names(cell)));
      const archive = new Set(rows.flatMap(([, , cell]) => names(cell)));
      const columns = signal ? archiveColumns[signal].map(({ name }) => name) : [];
      const stored = signal ? tablesOf[signal].flatMap((table) => [...speedTables[table]]) : [];
      expect(columns.filter((name) => !archive.has(name))).toEqual([]);
      expect(stored.filter((name: string) => !speed.has(name))).toEqual([]);
    },
  );
});
