/**
 * Runs the queries of the read API on ClickHouse, each inside a wall around one tenant: ClickHouse
 * itself filters every table of the query by the tenant, in read-only mode, whatever the query's text
 * says. It forms no query.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import {
  apiAnswerBytesMax,
  apiMemoryBytes,
  apiQuerySeconds,
  apiReadRowsMax,
  apiTimeoutMs,
} from '../../schemas/limits/api.ts';
import type { Settings } from '../../schemas/settings.ts';
import { tenantColumns } from '../../schemas/tables.ts';
import type { Read, Row } from './resource.ts';

/** What reading takes from the runtime. */
export interface ReadTools {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** A signal that aborts after so many milliseconds. */
  readonly timeout: (ms: number) => AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A name that no other request has, without slashes. */
  readonly requestId: (nowMs: number) => string;
}

export type ReadSettings = Pick<
  Settings,
  | 'CLICKHOUSE_URL'
  | 'CLICKHOUSE_USER'
  | 'CLICKHOUSE_PASSWORD'
  | 'CLICKHOUSE_READ_USER'
  | 'CLICKHOUSE_READ_PASSWORD'
  | 'CLICKHOUSE_DATABASE'
>;

/** Exceptions that say that the query asks for too much: time, rows, bytes, memory. */
const codesOfTooMuch = new Set([158, 159, 160, 241, 307, 396]);

/**
 * The rows of a query that `tenantId` may see. Throws CAPACITY when it takes more than one answer may,
 * and SINK_FAILED, retryable, for every other fault; neither has ClickHouse's text.
 */
export async function readRows(
  { sql, parameters }: Read,
  tenantId: string,
  settings: ReadSettings,
  tools: ReadTools,
): Promise<Row[]> {
  const [user, password] =
    settings.CLICKHOUSE_READ_USER === ''
      ? [settings.CLICKHOUSE_USER, settings.CLICKHOUSE_PASSWORD]
      : [settings.CLICKHOUSE_READ_USER, settings.CLICKHOUSE_READ_PASSWORD];
  assertNoSettings(sql);
  const url = urlOf(parameters, tenantId, settings);
  // What the row policies of deploy/clickhouse/reader.sql go by: no text of a query can change it.
  url.searchParams.set('query_id', `${tenantId}/${tools.requestId(tools.now())}`);
  let response: Response;
  let body: string;
  try {
    response = await tools.fetch(url.href, {
      method: 'POST',
      headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': password },
      body: sql,
      redirect: 'manual',
      signal: tools.timeout(apiTimeoutMs),
    });
    body = await response.text();
  } catch (cause) {
    throw failed('it did not answer', cause);
  }
  const code = Number(response.headers.get('x-clickhouse-exception-code') ?? 0);
  if (response.status === 200 && code === 0) return rowsOf(body);
  if (codesOfTooMuch.has(code)) {
    const message =
      'Cannot answer: the request asks for too much; give a shorter range or a filter';
    throw new TidemarkError('CAPACITY', message);
  }
  throw failed(`status ${response.status}, exception code ${code}`);
}

function rowsOf(body: string): Row[] {
  try {
    const lines = body.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Row);
  } catch (cause) {
    throw failed('its answer is no JSON', cause);
  }
}

function urlOf(
  parameters: Read['parameters'],
  tenantId: string,
  { CLICKHOUSE_URL, CLICKHOUSE_DATABASE }: ReadSettings,
): URL {
  const url = new URL(CLICKHOUSE_URL);
  const given = {
    database: CLICKHOUSE_DATABASE,
    default_format: 'JSONEachRow',
    output_format_json_quote_64bit_integers: '0',
    output_format_json_quote_denormals: '0',
    date_time_output_format: 'iso',
    // The status of the answer is known when the query has ended, not when it begins.
    wait_end_of_query: '1',
    max_execution_time: String(apiQuerySeconds),
    max_rows_to_read: String(apiReadRowsMax),
    max_memory_usage: String(apiMemoryBytes),
    max_result_bytes: String(apiAnswerBytesMax),
    cancel_http_readonly_queries_on_client_close: '1',
    additional_table_filters: wallOf(tenantId),
    // Last: in read-only mode no setting changes any more, so no query can take the wall away.
    readonly: '1',
  };
  for (const [name, value] of Object.entries(given)) url.searchParams.set(name, value);
  url.searchParams.set('param_tenant', tenantId);
  for (const [name, value] of Object.entries(parameters)) {
    url.searchParams.set(`param_${name}`, String(value));
  }
  return url;
}

/**
 * Of a subquery with a SETTINGS clause ClickHouse (26.7) does not ask whether settings may be changed: one
 * could take the wall away.
 */
function assertNoSettings(sql: string): void {
  if (/\bsettings\b/i.test(sql)) throw new Error('Bug: a query of the API changes settings');
}

/** The setting that filters each table by its tenant. A tenant's name has no quotes (`tenantPattern`). */
function wallOf(tenantId: string): string {
  const filters = Object.entries(tenantColumns).map(
    ([table, column]) => `'${table}': '${column} = \\'${tenantId}\\''`,
  );
  return `{${filters.join(', ')}}`;
}

function failed(why: string, cause?: unknown): TidemarkError {
  return new TidemarkError('SINK_FAILED', `Cannot read from ClickHouse: ${why}`, {
    cause,
    retryable: true,
  });
}
