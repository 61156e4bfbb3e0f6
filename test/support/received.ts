/**
 * The embedded stack for tests of real clients: what a client has sent is looked up in ClickHouse
 * and, as raw OTLP, in the archive leg, which nobody empties.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { freePorts } from '../../dev/port.ts';
import { up } from '../../dev/up.ts';
import { archiveSpoolPrefix, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { SpeedTable } from '../../schemas/tables.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { openStore } from '../../workers/clients/store/objects.ts';

const protos = fileURLToPath(new URL('../../schemas/otlp/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${protos}${target}`;
for (const service of ['trace', 'logs', 'metrics']) {
  root.loadSync(`opentelemetry/proto/collector/${service}/v1/${service}_service.proto`);
}

const messages: Record<Signal, { request: string; path: readonly string[] }> = {
  traces: { request: 'ExportTraceServiceRequest', path: ['resourceSpans', 'scopeSpans', 'spans'] },
  logs: { request: 'ExportLogsServiceRequest', path: ['resourceLogs', 'scopeLogs', 'logRecords'] },
  metrics: {
    request: 'ExportMetricsServiceRequest',
    path: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  },
};

export type Decoded = Record<string, unknown>;

export interface Received {
  /** Such as `http://127.0.0.1:8787`. */
  readonly endpoint: string;
  /** ClickHouse's HTTP interface, likewise. */
  readonly clickhouseUrl: string;
  /** Rows of a table whose service is `service`. */
  rows(table: SpeedTable, service: string): Promise<Decoded[]>;
  /** Rows of a query, as ClickHouse's JSON has them. */
  query(sql: string, params?: Readonly<Record<string, unknown>>): Promise<Decoded[]>;
  /** Items of a service in the archive leg, as protobufjs reads them: 64-bit numbers as text, bytes as base64. */
  archived(signal: Signal, service: string): Promise<Decoded[]>;
  close(): Promise<void>;
}

/** Starts edge, ClickHouse, object store and an archiver that lets everything wait. */
export async function startReceived(overrides: Record<string, string> = {}): Promise<Received> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-received-'));
  const [port, clickhousePort] = await freePorts(2);
  const stack = await up({
    settings: readSettings({
      TIDEMARK_DATA: directory,
      TIDEMARK_PORT: String(port),
      TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
      TIDEMARK_FLUSH_AGE_MS: '86400000',
      TIDEMARK_SPOOL_FLUSH_AGE_MS: '86400000',
      ...overrides,
    }),
    environment: process.env,
    monotonicMs: () => performance.now(),
    onLine: () => undefined,
    schedulesBatch: false,
  });
  const clickhouse = openClickHouse(stack.settings);
  const store = openStore(stack.settings);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    clickhouseUrl: `http://127.0.0.1:${clickhousePort}`,
    rows: (table, service) =>
      clickhouse.query<Decoded>(
        `SELECT * FROM ${table} WHERE ServiceName = {service:String} ORDER BY ALL`,
        { service },
      ),
    query: (sql, params = {}) => clickhouse.query<Decoded>(sql, params),
    archived: async (signal, service) => {
      const found: Decoded[] = [];
      for await (const page of store.list(archiveSpoolPrefix(topics[signal]))) {
        for (const { key } of page) {
          const bytes = await store.get(key);
          if (bytes) found.push(...itemsOf(signal, bytes, service));
        }
      }
      return found;
    },
    close: async () => {
      store.close();
      await clickhouse.close();
      await stack.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The items of a request whose resource has this `service.name`. */
export function itemsOf(signal: Signal, bytes: Uint8Array, service: string): Decoded[] {
  const { request, path: names } = messages[signal];
  const [resources = '', scopes = '', items = ''] = names;
  const type = root.lookupType(request);
  const decoded: Decoded = type.toObject(type.decode(Buffer.from(bytes)), {
    longs: String,
    bytes: String,
  });
  return list(decoded, resources)
    .filter((resource) => attributesOf(resource['resource'])['service.name'] === service)
    .flatMap((resource) => list(resource, scopes))
    .flatMap((scope) => list(scope, items));
}

function list(owner: Decoded, name: string): Decoded[] {
  return (owner[name] ?? []) as Decoded[];
}

/** Attributes by key; values as they are within their AnyValue. */
export function attributesOf(owner: unknown): Record<string, unknown> {
  const { attributes = [] } = (owner ?? {}) as {
    attributes?: { key: string; value: Record<string, unknown> }[];
  };
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
