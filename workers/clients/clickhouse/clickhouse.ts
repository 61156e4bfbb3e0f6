/**
 * ClickHouse as the programs use it: rows out, rows in, commands; over `@clickhouse/client`. Errors
 * carry ClickHouse's code and whether the same call may succeed later. It composes no SQL.
 */
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import {
  ClickHouseError as ServerError,
  ClickHouseLogLevel,
  createClient,
} from '@clickhouse/client';
import type { ClickHouseClient } from '@clickhouse/client';
import pRetry from 'p-retry';
import { ClickHouseError, SettingError } from '../../../schemas/errors.ts';
import { clickHouseRequestMs, requestTriesMax } from '../../../schemas/limits.ts';
import type { Settings } from '../../../schemas/settings.ts';

export type ClickHouseSettings = Pick<
  Settings,
  'CLICKHOUSE_URL' | 'CLICKHOUSE_USER' | 'CLICKHOUSE_PASSWORD' | 'CLICKHOUSE_DATABASE'
>;

/** Values of `{name:Type}` in a statement. */
export type QueryParams = Readonly<Record<string, unknown>>;

export interface CommandOptions {
  /** Whether running it twice is as good as once: only then it is tried again. @default false */
  readonly idempotent?: boolean;
}

export interface InsertOptions extends CommandOptions {
  /**
   * `insert_deduplication_token`: tables with a deduplication window take one insert of a token.
   * Such an insert may be repeated, so it implies `idempotent`.
   */
  readonly deduplicationToken?: string;
}

/** Every method throws `ClickHouseError` once its tries are spent. */
export interface ClickHouse {
  /** Rows of a SELECT as objects. 64-bit integers come as strings, exact. */
  query<T>(sql: string, params?: QueryParams): Promise<T[]>;
  /** Runs a statement that has no result. */
  command(sql: string, params?: QueryParams, options?: CommandOptions): Promise<void>;
  /**
   * Inserts objects whose keys are column names. Integers may be `bigint` or decimal strings, times
   * ISO 8601 strings, `Date` or seconds. No rows: nothing is sent.
   */
  insertRows(
    table: string,
    rows: readonly Readonly<Record<string, unknown>>[],
    options?: InsertOptions,
  ): Promise<void>;
  /**
   * Runs an INSERT statement that ends in `FORMAT …`, with data in that format. Made to be repeated
   * with the token of `options`, as `insertRows` is.
   */
  insertBytes(statement: string, data: Uint8Array, options?: InsertOptions): Promise<void>;
  /** Creates CLICKHOUSE_DATABASE if it is not there. */
  createDatabase(): Promise<void>;
  close(): Promise<void>;
}

/** NETWORK_ERROR and STD_EXCEPTION: what the client's own faults count as. */
const networkCode = 210;
const unknownCode = 1001;

/** Codes of a table, column or database that is not there: those of a schema that was not brought up to date. */
const schemaCodes: ReadonlySet<number> = new Set([
  16, // NO_SUCH_COLUMN_IN_TABLE
  47, // UNKNOWN_IDENTIFIER
  60, // UNKNOWN_TABLE
  81, // UNKNOWN_DATABASE
]);

/**
 * Codes after which the same call may succeed later: overload, timeouts, memory, too many parts, a
 * network or Keeper that is away, a table that is read-only for the moment.
 */
export const retryableCodes: ReadonlySet<number> = new Set([
  159, // TIMEOUT_EXCEEDED
  160, // TOO_SLOW
  202, // TOO_MANY_SIMULTANEOUS_QUERIES
  209, // SOCKET_TIMEOUT
  210, // NETWORK_ERROR
  225, // NO_ZOOKEEPER
  236, // ABORTED
  241, // MEMORY_LIMIT_EXCEEDED
  242, // TABLE_IS_READ_ONLY
  252, // TOO_MANY_PARTS
  265, // NO_AVAILABLE_REPLICA
  279, // ALL_CONNECTION_TRIES_FAILED
  285, // TOO_FEW_LIVE_REPLICAS
  319, // UNKNOWN_STATUS_OF_INSERT
  341, // UNFINISHED
  439, // CANNOT_SCHEDULE_TASK
  745, // SERVER_OVERLOADED
  999, // KEEPER_EXCEPTION
]);

/** Makes a client; nothing is sent before the first call. `retryWaitMs` is the first wait of retries. */
export function openClickHouse(
  settings: ClickHouseSettings,
  options: { readonly retryWaitMs?: number } = {},
): ClickHouse {
  const database = settings.CLICKHOUSE_DATABASE;
  const client = clientOf(settings, database);
  const call = caller(settings, options.retryWaitMs ?? 100);
  return {
    query: <T>(sql: string, params: QueryParams = {}) =>
      call('query', true, async () => {
        const query = { query: sql, query_params: { ...params }, format: 'JSONEachRow' as const };
        const result = await client.query(query);
        return result.json<T>();
      }),
    command: (sql, params = {}, { idempotent = false } = {}) =>
      call('run a command on', idempotent, async () => {
        await client.command({ query: sql, query_params: { ...params } });
      }),
    async insertRows(table, rows, { idempotent = false, deduplicationToken } = {}) {
      if (rows.length === 0) return;
      const token = deduplicationToken ?? '';
      await call(`insert into ${table} of`, idempotent || token !== '', async () => {
        await client.insert({
          table,
          values: rows,
          format: 'JSONEachRow',
          clickhouse_settings: token === '' ? {} : { insert_deduplication_token: token },
        });
      });
    },
    insertBytes: (statement, data, { idempotent = false, deduplicationToken } = {}) => {
      const token = deduplicationToken ?? '';
      return call('insert into', idempotent || token !== '', async () => {
        const { stream } = await client.exec({
          query: statement,
          values: Readable.from([data], { objectMode: false }),
          clickhouse_settings: token === '' ? {} : { insert_deduplication_token: token },
        });
        await drained(stream);
      });
    },
    async createDatabase() {
      // A request that names a database which is not there is refused, whatever it asks for.
      const first = clientOf(settings, 'default');
      const name = `\`${database.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
      const query = `CREATE DATABASE IF NOT EXISTS ${name}`;
      try {
        await call('create a database on', true, () => first.command({ query }));
      } finally {
        await first.close();
      }
    },
    close: () => client.close(),
  };
}

/** Reads an answer that says nothing to its end, so that its connection can be used again. */
async function drained(stream: Readable): Promise<void> {
  stream.resume();
  await finished(stream);
}

function clientOf(settings: ClickHouseSettings, database: string): ClickHouseClient {
  try {
    return createClient({
      url: settings.CLICKHOUSE_URL,
      username: settings.CLICKHOUSE_USER,
      password: settings.CLICKHOUSE_PASSWORD,
      database,
      application: 'tidemark',
      request_timeout: clickHouseRequestMs,
      log: { level: ClickHouseLogLevel.OFF },
      json: { parse: JSON.parse, stringify },
      clickhouse_settings: {
        output_format_json_quote_64bit_integers: 1,
        date_time_input_format: 'best_effort',
      },
    });
  } catch (cause) {
    // Something that the address cannot be, or parameters behind it.
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot use setting CLICKHOUSE_URL: ${reason}`;
    throw new SettingError('CLICKHOUSE_URL', message, { cause });
  }
}

/** JSON has no 64-bit integers; ClickHouse reads them from strings. */
function stringify(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? part.toString() : part,
  );
}

type Call = <T>(action: string, idempotent: boolean, send: () => Promise<T>) => Promise<T>;

/** Runs calls with their errors mapped, and idempotent ones again while that may help. */
function caller(settings: ClickHouseSettings, retryWaitMs: number): Call {
  const { host } = new URL(settings.CLICKHOUSE_URL);
  return (action, idempotent, send) =>
    pRetry(
      async () => {
        try {
          return await send();
        } catch (error) {
          throw mapError(error, `Cannot ${action} ClickHouse at ${host}`);
        }
      },
      {
        retries: idempotent ? requestTriesMax - 1 : 0,
        minTimeout: retryWaitMs,
        shouldRetry: ({ error }) => error instanceof ClickHouseError && error.retryable,
      },
    );
}

/** The client's error as ours. `action` begins the message. */
function mapError(error: unknown, action: string): unknown {
  if (error instanceof ServerError) {
    const code = Number(error.code);
    // Behind these words ClickHouse repeats the whole statement.
    const [said = ''] = error.message.trim().split(/ in scope (?:SELECT|WITH)\b/);
    const hint = schemaCodes.has(code) ? '; "tidemark migrate" creates what is missing' : '';
    const message = `${action}: ${said} (${error.type ?? 'UNKNOWN'}, code ${code})${hint}`;
    return new ClickHouseError(code, message, {
      cause: error,
      retryable: retryableCodes.has(code),
    });
  }
  if (!(error instanceof Error)) return error;
  const isNetwork = 'code' in error || /^(Timeout error|socket hang up)/.test(error.message);
  const code = isNetwork ? networkCode : unknownCode;
  return new ClickHouseError(code, `${action}: ${reasonOf(error)}`, {
    cause: error,
    retryable: isNetwork,
  });
}

/** Node gives a refused connection to several addresses an empty message and the reasons inside. */
function reasonOf(error: Error): string {
  const [inner] = error instanceof AggregateError ? error.errors : [];
  return inner instanceof Error ? inner.message : error.message;
}
