/**
 * Inserts rows into ClickHouse over HTTP. It never retries: what fails goes to the
 * spool, and the drain is the retry.
 */
import { ClickHouseError, TidemarkError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import { insertStatement } from '../schemas/tables.ts';
import type { SpooledTable } from '../schemas/tables.ts';
import { streamed } from './stream.ts';

export interface InsertTools {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** A signal that aborts after so many milliseconds. */
  readonly timeout: (ms: number) => AbortSignal;
  /**
   * Whether `fetch` has copied a body of bytes when it returns, so that their memory may be used again.
   * @default never
   */
  readonly copiesBodies?: () => boolean;
}

export type InsertSettings = Pick<
  Settings,
  | 'CLICKHOUSE_URL'
  | 'CLICKHOUSE_USER'
  | 'CLICKHOUSE_PASSWORD'
  | 'CLICKHOUSE_DATABASE'
  | 'TIDEMARK_SINK_TIMEOUT_MS'
>;

/**
 * Inserts `rows` into `table` and returns when ClickHouse has them on disk. `token` names
 * the batch for ClickHouse's own deduplication. Throws `ClickHouseError` with ClickHouse's code, not
 * retryable when these rows will never be taken, and SINK_FAILED, retryable, for every other fault;
 * neither has ClickHouse's text, because it may quote the payload.
 */
export async function insertRows(
  table: SpooledTable,
  rows: Uint8Array,
  token: string,
  settings: InsertSettings,
  tools: InsertTools,
): Promise<void> {
  let response: Response;
  try {
    response = await tools.fetch(insertUrl(table, settings, token), {
      method: 'POST',
      headers: {
        'X-ClickHouse-User': settings.CLICKHOUSE_USER,
        'X-ClickHouse-Key': settings.CLICKHOUSE_PASSWORD,
        'Content-Type': 'application/octet-stream',
      },
      body: streamed(rows),
      redirect: 'manual',
      signal: tools.timeout(settings.TIDEMARK_SINK_TIMEOUT_MS),
    });
    // A successful insert answers with nothing; a page is some proxy's, whatever its status says.
    const silent = await isEmpty(response);
    if (response.status === 200 && silent && !response.headers.has(exceptionHeader)) return;
  } catch (cause) {
    throw failed('ClickHouse did not answer', cause);
  }
  const code = Number(response.headers.get(exceptionHeader) ?? Number.NaN);
  const why = `ClickHouse answered ${response.status}`;
  if (!Number.isInteger(code)) throw failed(`${why} without an exception code`);
  const retryable = response.status !== 400 && !codesOfBadRows.has(code);
  const message = `Cannot insert into ${table}: ${why}, exception code ${code}`;
  throw new ClickHouseError(code, message, { retryable });
}

const exceptionHeader = 'x-clickhouse-exception-code';

/**
 * Exceptions about the rows themselves that ClickHouse answers with 500: ATTEMPT_TO_READ_AFTER_EOF,
 * CANNOT_READ_ALL_DATA, TOO_LARGE_STRING_SIZE, TOO_LARGE_ARRAY_SIZE. Those with 400 are all of that
 * kind; a table or column that is not there yet (404, 500) is not.
 */
const codesOfBadRows = new Set([32, 33, 131, 128]);

/** Where inserts go, by settings and table, all but the token: making it costs more than sending. */
const urls = new WeakMap<InsertSettings, Map<SpooledTable, string>>();

function insertUrl(table: SpooledTable, settings: InsertSettings, token: string): string {
  const known = urls.get(settings) ?? new Map<SpooledTable, string>();
  const url = known.get(table) ?? urlOf(table, settings);
  urls.set(settings, known.set(table, url));
  return url + encodeURIComponent(token);
}

/** The URL of inserts into `table`, which ends where the token goes. */
function urlOf(table: SpooledTable, settings: InsertSettings): string {
  const url = new URL(settings.CLICKHOUSE_URL);
  const parameters = {
    query: insertStatement(table),
    database: settings.CLICKHOUSE_DATABASE,
    // Many small batches become one part; the answer comes when that part is written.
    async_insert: '1',
    wait_for_async_insert: '1',
    // Without it, asynchronous inserts do not look at their token.
    async_insert_deduplicate: '1',
    insert_deduplication_token: '',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** Whether the body has no byte. Reads the first chunk alone and drops the rest. */
async function isEmpty(response: Response): Promise<boolean> {
  if (response.headers.get('content-length') === '0' || response.body === null) return true;
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    if (value.length === 0) continue;
    await reader.cancel();
    return false;
  }
}

function failed(why: string, cause?: unknown): TidemarkError {
  return new TidemarkError('SINK_FAILED', `Cannot insert into ClickHouse: ${why}`, {
    cause,
    retryable: true,
  });
}
