/**
 * Reads a request of ClickHouse's HTTP interface from its URL and headers: who asks, for which
 * database, with which settings and parameters. It reads no body and runs nothing.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { fault } from './fault.ts';

export interface FrontRequest {
  /** The `query` parameter, empty if there is none. */
  readonly query: string;
  readonly queryId: string | undefined;
  readonly defaultFormat: string;
  /** Statements that put database, settings and parameters in force. */
  readonly setup: readonly string[];
  readonly asyncInsert: 'no' | 'wait' | 'forget';
  /**
   * Names the body of an asynchronous insert, which goes in once however often it comes. The engine
   * would refuse to merge inserts of different tokens, so it is not among the settings.
   */
  readonly asyncToken: string | undefined;
  /** Whether the client asked for a compressed answer. */
  readonly compressAnswer: boolean;
  /** Whether answer and body are in ClickHouse's own frames. */
  readonly framesAnswer: boolean;
  readonly framesBody: boolean;
  /** Of the protocol that the client reads in the Native format; 0 for none. */
  readonly revision: number;
}

/** Parameters of the interface itself that need nothing here. */
const ignored = new Set([
  'query',
  'query_id',
  'default_format',
  'database',
  'user',
  'password',
  'quota_key',
  'stacktrace',
  'buffer_size',
  'wait_end_of_query',
  'enable_http_compression',
  'compress',
  'decompress',
  'client_protocol_version',
  'http_zlib_compression_level',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'cancel_http_readonly_queries_on_client_close',
  'add_http_cors_header',
  'readonly',
  'async_insert',
  'wait_for_async_insert',
  'wait_for_async_insert_timeout',
  'async_insert_deduplicate',
  'async_insert_busy_timeout_ms',
  'async_insert_busy_timeout_min_ms',
  'async_insert_busy_timeout_max_ms',
  'async_insert_max_data_size',
  'async_insert_use_adaptive_busy_timeout',
]);

/** Parameters that would change what an answer means, and that this front does not have. */
const unsupported = new Set(['session_id', 'session_timeout', 'session_check', 'role']);

/**
 * Reads URL and headers. `isGet` makes the request read-only, as in ClickHouse. Throws
 * `ClickHouseError` 516 for any user but `default` with an empty password, 48 for what the front
 * cannot do, 115 for a setting whose name cannot be one.
 */
export function readRequest(
  url: URLSearchParams,
  headers: IncomingHttpHeaders,
  isGet: boolean,
): FrontRequest {
  authenticate(url, headers);
  const setup: string[] = [];
  const database = url.get('database') ?? header(headers, 'x-clickhouse-database') ?? 'default';
  if (database !== 'default') setup.push(`USE ${quoteName(database)}`);
  const isAsync = url.get('async_insert') === '1';
  const token = url.get(tokenName) ?? '';
  const settings = [...url]
    .filter(([name]) => !(isAsync && name === tokenName))
    .flatMap(([name, value]) => settingOf(name, value));
  // Read-only mode forbids further settings, so it comes last.
  const readonly = url.get('readonly') ?? (isGet ? '2' : '0');
  if (readonly !== '0') settings.push(`readonly = ${quoteText(readonly)}`);
  if (settings.length > 0) setup.push(`SET ${settings.join(', ')}`);
  const wait = url.get('wait_for_async_insert') !== '0';
  return {
    query: url.get('query') ?? '',
    queryId: url.get('query_id') ?? undefined,
    defaultFormat:
      url.get('default_format') ?? header(headers, 'x-clickhouse-format') ?? 'TabSeparated',
    setup,
    asyncInsert: !isAsync ? 'no' : wait ? 'wait' : 'forget',
    asyncToken: isAsync && token !== '' ? token : undefined,
    compressAnswer: url.get('enable_http_compression') === '1',
    framesAnswer: url.get('compress') === '1',
    framesBody: url.get('decompress') === '1',
    revision: Number(url.get('client_protocol_version') ?? 0) || 0,
  };
}

const tokenName = 'insert_deduplication_token';

/** A string literal of ClickHouse. */
export function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** The assignment that puts one parameter of the URL in force, if it needs any. */
function settingOf(name: string, value: string): string[] {
  if (ignored.has(name)) return [];
  if (unsupported.has(name)) {
    throw fault(48, 'NOT_IMPLEMENTED', `The embedded ClickHouse has no parameter "${name}"`);
  }
  if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(name)) {
    throw fault(115, 'UNKNOWN_SETTING', `Setting ${name} is neither a builtin setting nor started`);
  }
  return [`${name} = ${quoteText(value)}`];
}

function quoteName(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

function authenticate(url: URLSearchParams, headers: IncomingHttpHeaders): void {
  const [basicUser, basicPassword] = basic(headers.authorization);
  const user = header(headers, 'x-clickhouse-user') ?? basicUser ?? url.get('user') ?? 'default';
  const password =
    header(headers, 'x-clickhouse-key') ?? basicPassword ?? url.get('password') ?? '';
  if ((user === 'default' || user === '') && password === '') return;
  throw fault(
    516,
    'AUTHENTICATION_FAILED',
    `${user}: Authentication failed: password is incorrect, or there is no user with such name`,
  );
}

/** User and password of an `Authorization: Basic` header. */
function basic(authorization: string | undefined): [string | undefined, string | undefined] {
  const encoded = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return [undefined, authorization === undefined ? undefined : '?'];
  const [user, ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return [user, password.join(':')];
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
