/**
 * The read API's user on the real engine: its rights and row policies, as deploy/clickhouse/reader.sql states
 * them, are given to the engine as configuration, because the embedded one cannot store users. Then the
 * Worker reads as that user, and queries that try to see another tenant's rows run as it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRows } from '../../edge/api/read.ts';
import type { Read } from '../../edge/api/resource.ts';
import { resources } from '../../edge/api/resources.ts';
import { readSettings, type Settings } from '../../schemas/settings.ts';
import { tenantColumns } from '../../schemas/tables.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

const file = path.join(import.meta.dirname, '../../deploy/clickhouse/reader.sql');
const nowMs = Date.parse('2026-11-22T14:00:00Z');
let directory: string;
let server: TestClickHouse;
let settings: Settings;
let statements: readonly string[];

/** The file's statements without comments. */
async function readStatements(): Promise<string[]> {
  const text = (await readFile(file, 'utf8')).replaceAll(/^--.*$/gm, '');
  return text
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

const policy = /^CREATE ROW POLICY OR REPLACE (\w+) ON (\w+) FOR SELECT USING (.+) TO ([\s\S]+)$/;

/** Tables and conditions of the policies for the reader. */
function conditions(): Record<string, string> {
  const parts = statements.flatMap((statement) => {
    const [, name, table, condition, whom] = policy.exec(statement) ?? [];
    return name === 'tidemark_tenant' && whom === 'tidemark_reader' ? [[table, condition]] : [];
  });
  return Object.fromEntries(parts) as Record<string, string>;
}

/** The engine in this process gives queries ids of its own: the tenant of the Worker's is put before them. */
const ofAcme = (condition: string) =>
  condition.replace('initialQueryID()', "concat('acme/', initialQueryID())");

/** A configuration in which the engine's only user is the reader. */
async function writeConfiguration(): Promise<string> {
  const filters = Object.entries(conditions()).map(
    ([table, condition]) => `<${table}><filter>${ofAcme(condition)}</filter></${table}>`,
  );
  const grants = statements
    .filter((statement) => statement.startsWith('GRANT'))
    .map((statement) =>
      statement.replace(/ TO tidemark_reader$/, '').replace('ON *', 'ON default.*'),
    );
  const [users, main] = ['users.xml', 'config.xml'].map((name) => path.join(directory, name));
  await writeFile(
    users ?? '',
    `<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
      <password></password><networks><ip>::/0</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants>${grants.map((grant) => `<query>${grant}</query>`).join('')}</grants>
      <databases><default>${filters.join('')}</default></databases>
    </default></users></clickhouse>`,
  );
  await writeFile(main ?? '', `<clickhouse><users_config>${users}</users_config></clickhouse>`);
  return main ?? '';
}

beforeAll(async () => {
  statements = await readStatements();
  directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-reader-'));
  const dataDir = path.join(directory, 'data');
  const writer = await startClickHouse({ dataDir });
  const clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: writer.url }));
  await migrate(clickhouse);
  for (const tenant of ['acme', 'beta']) {
    const rows = Array.from({ length: 3 }, (_, i) => ({
      Timestamp: '2026-11-22 13:30:00',
      TraceId: `${tenant === 'acme' ? 'a' : 'b'}${i}`.padEnd(32, '0'),
      SpanId: `${i}`.padEnd(16, '0'),
      ServiceName: `${tenant}-shop`,
      SpanName: 'secret',
      TenantId: tenant,
    }));
    await clickhouse.insertRows('otel_traces', rows);
    await clickhouse.insertRows('service_stats_batch', [
      { date: '2026-11-22', run_id: 'r', tenant_id: tenant, service_name: `${tenant}-shop` },
    ]);
  }
  await clickhouse.insertRows('batch_runs', [
    { signal: 'traces', period_kind: 'day', period_start: '2026-11-22T00:00:00Z', run_id: 'r' },
  ]);
  await clickhouse.close();
  await writer.stop();
  server = await startClickHouse({ dataDir, configPath: await writeConfiguration() });
  settings = readSettings({ CLICKHOUSE_URL: server.url });
}, 120_000);

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

let requests = 0;
const tools = {
  fetch: (url: string, init: RequestInit) => fetch(url, init),
  timeout: (ms: number) => AbortSignal.timeout(ms),
  now: () => nowMs,
  requestId: () => `request-${(requests += 1)}`,
};

function read(sql: string, parameters: Read['parameters'] = {}) {
  return readRows({ sql, parameters }, 'acme', settings, tools);
}

/** The statement as the reader, without the Worker's wall: only the policies are left. */
async function behind(sql: string, query: Readonly<Record<string, string>> = {}) {
  const url = new URL(server.url);
  const given = { default_format: 'JSONEachRow', readonly: '1', ...query };
  for (const [name, value] of Object.entries(given)) url.searchParams.set(name, value);
  const answer = await fetch(url, { method: 'POST', body: sql });
  return { isOk: answer.ok, text: await answer.text() };
}

describe('deploy/clickhouse/reader.sql', () => {
  it('is SQL that the engine reads, with a policy for every table that has tenants', async () => {
    for (const statement of statements) {
      const { text } = await behind(`EXPLAIN AST ${statement.replace('<password>', 'a password')}`);
      expect(text).not.toContain('SYNTAX_ERROR');
    }
    const wanted = Object.entries(tenantColumns).map(
      ([table, column]) => [table, `${column} = splitByChar('/', initialQueryID())[1]`] as const,
    );
    expect(conditions()).toEqual(Object.fromEntries(wanted));
    const others = statements.filter((statement) => statement.includes('tidemark_others ON '));
    expect(others).toHaveLength(wanted.length);
  });

  it('lets the API read all that it reads', async () => {
    const values = {
      date: '2026-11-22',
      service: 'acme-shop',
      traceId: 'a0'.padEnd(32, '0'),
      metric: 'm',
      kind: 'gauge',
      signal: 'traces',
      step: 'hour',
    };
    for (const resource of resources) {
      const known = { ...resource.query.shape, ...resource.pathParameters?.shape };
      const given = Object.entries(values).filter(([name]) => name in known);
      const range = { fromMs: nowMs - 3_600_000, toMs: nowMs, rowsMax: 10, cursor: undefined };
      const asked = { ...range, ...Object.fromEntries(given) };
      const { sql, parameters } = resource.read(asked);
      await expect(read(sql, parameters), resource.name).resolves.toBeDefined();
    }
    const rows = await read('SELECT DISTINCT TenantId AS t FROM otel_traces');
    expect(rows).toEqual([{ t: 'acme' }]);
  });

  it.each([
    ['a query without a condition', 'SELECT * FROM otel_traces'],
    ['one that asks for the other', "SELECT * FROM otel_traces WHERE TenantId = 'beta'"],
    ['a table function', "SELECT * FROM merge('default', '^otel_traces$')"],
    ['a view', 'SELECT * FROM service_stats_merged'],
    ['a join', 'SELECT * FROM otel_traces AS a CROSS JOIN otel_traces AS b'],
    [
      'a union',
      'SELECT TenantId FROM otel_traces UNION ALL SELECT tenant_id FROM service_stats_batch',
    ],
    ['a subquery', 'SELECT (SELECT groupArray(TenantId) FROM otel_traces)'],
    [
      'a dictionary of values',
      'SELECT uniqExact(ServiceName), groupUniqArray(ServiceName) FROM otel_traces',
    ],
    [
      'a subquery with settings',
      'SELECT * FROM (SELECT * FROM otel_traces SETTINGS additional_table_filters = {}, readonly = 0)',
    ],
    ['a sample of parts', "SELECT * FROM otel_traces WHERE _part != '' PREWHERE 1"],
  ])('shows one tenant alone to %s', async (_, sql) => {
    expect((await behind(sql)).text).not.toContain('beta');
  });

  it.each([
    ["SELECT * FROM otel_traces SETTINGS log_comment = 'x'"],
    ["SET query_id = 'beta/1'"],
    ["INSERT INTO otel_traces (TenantId) SELECT 'acme'"],
    ['ALTER TABLE otel_traces DELETE WHERE 1'],
    ['DROP TABLE otel_traces'],
    ['CREATE TABLE mine (a Int8) ENGINE = Memory'],
    ['DROP ROW POLICY tidemark_tenant ON otel_traces'],
    ["SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')"],
    ["SELECT * FROM remote('127.0.0.1', default, otel_traces)"],
    ["SELECT * FROM file('/etc/hostname', LineAsString)"],
    ["SELECT * FROM s3('http://127.0.0.1:1/b/x', CSV, 'a String')"],
    ['SELECT * FROM system.users'],
  ])('refuses %s', async (sql) => {
    const { isOk, text } = await behind(sql);
    expect(isOk).toBe(false);
    expect(text).not.toContain('beta-shop');
  });

  it('refuses to write even where the Worker forgets that it only reads', async () => {
    const writes = [
      "INSERT INTO otel_traces (TenantId) SELECT 'acme'",
      'TRUNCATE TABLE otel_traces',
    ];
    for (const sql of writes) {
      const { isOk, text } = await behind(sql, { readonly: '0' });
      expect(isOk).toBe(false);
      expect(text).toContain('ACCESS_DENIED');
    }
  });

  it('names the tenant of each query of the API in its id', async () => {
    requests = 0;
    const urls: URL[] = [];
    const spied = (url: string, init: RequestInit) => {
      urls.push(new URL(url));
      return fetch(url, init);
    };
    for (const tenant of ['acme', 'beta']) {
      const reading = { ...tools, fetch: spied };
      await readRows({ sql: 'SELECT 1 AS one', parameters: {} }, tenant, settings, reading);
    }
    const ids = urls.map((url) => url.searchParams.get('query_id'));
    expect(ids).toEqual(['acme/request-1', 'beta/request-2']);
  });
});

describe('readRows()', () => {
  it('refuses a query that changes settings, wherever it does', async () => {
    const inside = 'SELECT * FROM (SELECT 1 Settings additional_table_filters = {})';
    await expect(read(inside)).rejects.toThrow('Bug: a query of the API changes settings');
  });
});
