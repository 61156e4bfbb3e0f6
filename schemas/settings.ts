/**
 * The settings of every program, one row each; `docs/CONFIGURATION.md` is made from this table.
 * Reading is pure: the environment comes in as an argument.
 */
import { SettingError } from './errors.ts';

export type SettingKind = 'string' | 'secret' | 'url' | 'integer' | 'choice';
export type Program = 'edge' | 'archive' | 'batch' | 'kafka-rest' | 'start' | 'all';

interface SettingRow {
  readonly kind: SettingKind;
  /** Unit of an integer, empty for others. */
  readonly unit: string;
  readonly default: string;
  readonly meaning: string;
  readonly programs: readonly Program[];
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

const kib = 1024;
const mib = 1024 * kib;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** All settings, by environment variable. Values are the defaults of the embedded stack. */
export const settings = {
  CLICKHOUSE_URL: row('url', 'http://127.0.0.1:8123', 'ClickHouse HTTP interface', ['all']),
  CLICKHOUSE_USER: row('string', 'default', 'ClickHouse user', ['all']),
  CLICKHOUSE_PASSWORD: row('secret', '', 'ClickHouse password', ['all']),
  CLICKHOUSE_DATABASE: row('string', 'default', 'ClickHouse database', ['all']),
  S3_ENDPOINT: row(
    'url',
    'http://127.0.0.1:8787/cdn-cgi/local/r2/s3',
    'S3 API of the archive bucket (R2, AWS S3 or any with conditional writes)',
    ['archive', 'batch', 'start'],
  ),
  S3_BUCKET: row('string', 'tidemark', 'Bucket of the archive and the spool', ['archive', 'batch']),
  S3_REGION: row('string', 'auto', 'Region of the bucket', ['archive', 'batch']),
  S3_ACCESS_KEY_ID: row('string', 'tidemark', 'Access key of the bucket', ['archive', 'batch']),
  S3_SECRET_ACCESS_KEY: row('secret', 'tidemark-local', 'Secret key of the bucket', [
    'archive',
    'batch',
  ]),
  KAFKA_BROKERS: row(
    'string',
    '',
    'Brokers to begin with, as `host:port,host:port`; empty: there is no Kafka',
    ['archive', 'kafka-rest'],
  ),
  KAFKA_CLIENT_ID: row('string', 'tidemark', 'Name of this client in the logs of brokers', [
    'archive',
    'kafka-rest',
  ]),
  KAFKA_GROUP: row(
    'string',
    'tidemark-archive',
    'Beginning of the names of the archiving consumer groups, one for each topic',
    ['archive'],
  ),
  KAFKA_SESSION_MS: integer(
    'ms',
    30_000,
    'Silence after which an archiver is taken for dead and others get its partitions',
    ['archive'],
    1000,
    1_800_000,
  ),
  KAFKA_TLS: {
    ...row('choice', 'off', 'TLS to brokers; more authorities: `NODE_EXTRA_CA_CERTS`', [
      'archive',
      'kafka-rest',
    ]),
    choices: ['off', 'on'],
  },
  KAFKA_SASL_MECHANISM: {
    ...row('choice', 'none', 'How to log in at brokers', ['archive', 'kafka-rest']),
    choices: ['none', 'plain', 'scram-sha-256', 'scram-sha-512'],
  },
  KAFKA_SASL_USERNAME: row('string', '', 'User at brokers', ['archive', 'kafka-rest']),
  KAFKA_SASL_PASSWORD: row('secret', '', 'Password at brokers', ['archive', 'kafka-rest']),
  KAFKA_REST_URL: row(
    'string',
    '',
    'Kafka REST proxy of the archive leg; empty: the R2 spool alone is the archive leg',
    ['edge'],
  ),
  KAFKA_REST_VERSION: {
    ...row('choice', 'v2', 'Produce API of the proxy: `v2` or `v3`', ['edge']),
    choices: ['v2', 'v3'],
  },
  KAFKA_REST_CLUSTER: row('string', '', 'Cluster id; needed with v3', ['edge']),
  KAFKA_REST_USER: row('string', '', 'User at the proxy (Basic)', ['edge', 'kafka-rest']),
  KAFKA_REST_PASSWORD: row('secret', '', 'Password at the proxy (Basic)', ['edge', 'kafka-rest']),
  KAFKA_REST_TOKEN: row('secret', '', 'Bearer token at the proxy', ['edge', 'kafka-rest']),
  KAFKA_REST_RECORD_BYTES_MAX: integer(
    'bytes',
    900_000,
    'Largest value of a record; larger requests become several records',
    ['edge'],
    1024,
  ),
  KAFKA_REST_REQUEST_BYTES_MAX: integer(
    'bytes',
    1_300_000,
    'Largest JSON of one call to the proxy; base64 makes 4 bytes of 3',
    ['edge'],
    4096,
  ),
  TIDEMARK_DATA: row('string', '.tidemark', 'Directory of the embedded stack', ['start']),
  TIDEMARK_PORT: integer('', 8787, 'Port of the OTLP/HTTP endpoint', ['start'], 1, 65_535),
  TIDEMARK_CLICKHOUSE_PORT: integer('', 8123, 'Port of ClickHouse', ['start'], 1, 65_535),
  TIDEMARK_KAFKA_REST_HOST: row(
    'string',
    '127.0.0.1',
    'Address that the gateway listens on; others than loopback need a user or a token',
    ['kafka-rest'],
  ),
  TIDEMARK_KAFKA_REST_PORT: integer(
    '',
    8082,
    'Port of the Kafka REST gateway',
    ['kafka-rest', 'start'],
    0,
    65_535,
  ),
  TIDEMARK_KAFKA_REST_BODY_BYTES_MAX: integer(
    'bytes',
    16 * mib,
    'Largest v2 request and largest v3 record that the gateway takes, as JSON',
    ['kafka-rest'],
    1024,
  ),
  TIDEMARK_KAFKA_REST_IN_FLIGHT_BYTES_MAX: integer(
    'bytes',
    128 * mib,
    'JSON that the gateway holds at once; past it requests get 429',
    ['kafka-rest'],
    1024,
  ),
  TIDEMARK_KAFKA_PORT: integer('', 9092, 'Port of the embedded Kafka', ['start'], 1, 65_535),
  TIDEMARK_KAFKA_PARTITIONS: integer(
    'partitions',
    3,
    'Partitions of topics that `tidemark start --kafka` creates',
    ['start'],
    1,
    1000,
  ),
  TIDEMARK_CACHE: row(
    'string',
    '',
    'Directory of programs fetched for the embedded stack; empty: `~/.cache/tidemark`',
    ['start'],
  ),
  TIDEMARK_AUTH: {
    ...row(
      'choice',
      'keys',
      'Who may send: `keys` admits API keys alone; `off` anyone, on loopback addresses alone ' +
        '(the default of `tidemark start` and `demo` when TIDEMARK_KEYS is empty)',
      ['edge'],
    ),
    choices: ['keys', 'off'],
  },
  TIDEMARK_KEYS: row(
    'secret',
    '',
    'Records of API keys beside those in Workers KV, as JSON: `{"<key id>": <record>}`',
    ['edge'],
  ),
  TIDEMARK_TENANT: row(
    'string',
    'default',
    'Tenant of all requests when TIDEMARK_AUTH is `off`, and of Kafka records that name none',
    ['edge', 'archive'],
  ),
  TIDEMARK_TENANT_BYTES_PER_MINUTE: integer(
    'bytes',
    0,
    'Inflated bytes that one isolate takes from a tenant; past it requests get 429; 0 is no limit',
    ['edge'],
    0,
  ),
  TIDEMARK_TENANT_ITEMS_PER_MINUTE: integer(
    'items',
    0,
    'Items that one isolate takes from a tenant; past it requests get 429; 0 is no limit',
    ['edge'],
    0,
  ),
  TIDEMARK_CORS_ORIGINS: row(
    'string',
    '*',
    'Origins that browsers may send from, comma-separated; `*` admits any, empty none',
    ['edge'],
  ),
  TIDEMARK_JSON_NAMES: {
    ...row(
      'choice',
      'any',
      'Field names that OTLP/JSON may use: `camel` is lowerCamelCase alone, as the specification ' +
        'has it; `any` takes those of the proto files as well, as the Collector does',
      ['edge'],
    ),
    choices: ['any', 'camel'],
  },
  TIDEMARK_BODY_BYTES_MAX: integer('bytes', 8 * mib, 'Largest request body as sent', ['edge'], 1),
  TIDEMARK_INFLATED_BYTES_MAX: integer(
    'bytes',
    8 * mib,
    'Largest request body after decompression',
    ['edge'],
    1,
  ),
  TIDEMARK_TRANSCODER_BYTES_MAX: integer(
    'bytes',
    24 * mib,
    'Memory in which one request is turned into rows, its inflated body included; one whose rows ' +
      'need more is refused with 413: it has too many items, or repeats too much in each row',
    ['edge'],
    mib,
    64 * mib,
  ),
  TIDEMARK_IN_FLIGHT_BYTES_MAX: integer(
    'bytes',
    32 * mib,
    'Inflated bytes that one isolate holds at once; past it requests get 503',
    ['edge'],
    1,
  ),
  TIDEMARK_SINK_TIMEOUT_MS: integer('ms', 5000, 'Time one sink may take for a batch', ['edge'], 1),
  TIDEMARK_GROUP_MS: integer(
    'ms',
    0,
    'How long a group of requests gathers while another is being stored; 0 is no group commit',
    ['edge'],
    0,
    1000,
  ),
  TIDEMARK_GROUP_ITEMS_MAX: integer('items', 4096, 'Most items of one group', ['edge'], 1),
  TIDEMARK_GROUP_BYTES_MAX: integer('bytes', mib, 'Most OTLP bytes of one group', ['edge'], 1),
  TIDEMARK_ATTRIBUTES_MAX: integer(
    'attributes',
    1000,
    'Most attributes of one span, log record or data point, those of its resource, events and ' +
      'links aside; an item with more is rejected',
    ['edge', 'archive'],
    1,
    2 ** 31,
  ),
  TIDEMARK_PAST_MAX_MS: integer(
    'ms',
    31 * dayMs,
    'Spans older than this at receipt are quarantined',
    ['edge', 'archive'],
    0,
  ),
  TIDEMARK_FUTURE_MAX_MS: integer(
    'ms',
    dayMs,
    'Spans further ahead than this at receipt are quarantined',
    ['edge', 'archive'],
    0,
  ),
  TIDEMARK_FLUSH_ROWS: integer(
    'rows',
    100_000,
    'Rows that make the archiver flush',
    ['archive'],
    1,
  ),
  TIDEMARK_FLUSH_BYTES: integer(
    'bytes',
    64 * mib,
    'OTLP bytes that make the archiver flush',
    ['archive'],
    1,
  ),
  TIDEMARK_FLUSH_AGE_MS: integer(
    'ms',
    60_000,
    'Age of the oldest waiting request that makes the archiver flush',
    ['archive'],
    0,
  ),
  TIDEMARK_HELD_BYTES_MAX: integer(
    'bytes',
    256 * mib,
    'OTLP bytes from Kafka that one archiver holds in memory; past it nothing more is fetched',
    ['archive'],
    1,
  ),
  TIDEMARK_ARCHIVE_POLL_MS: integer(
    'ms',
    1000,
    'Pause between two looks at an empty source',
    ['archive'],
    1,
  ),
  TIDEMARK_BATCH_MEMORY_BYTES: integer(
    'bytes',
    1024 * mib,
    'Memory of one shard',
    ['batch'],
    64 * mib,
  ),
  TIDEMARK_BATCH_THREADS: integer(
    'threads',
    0,
    'Worker threads; 0 is one a core',
    ['batch'],
    0,
    256,
  ),
  TIDEMARK_ALLOWED_LATENESS_MS: integer(
    'ms',
    3 * hourMs,
    'How long after its end a period waits for late data before it is final',
    ['batch'],
    0,
  ),
  TIDEMARK_BATCH_CRON: row('string', '0 4 * * *', 'When the daily batch runs, UTC', ['start']),
  TIDEMARK_RUNS_KEPT: integer(
    'runs',
    3,
    'Runs of a period that stay for rollback',
    ['batch'],
    1,
    1000,
  ),
  TIDEMARK_LOG_LEVEL: {
    ...row('choice', 'info', 'Least severe log line that is written', ['all']),
    choices: ['trace', 'debug', 'info', 'warn', 'error'],
  },
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof settings;

type IntegerName = {
  [N in SettingName]: (typeof settings)[N]['kind'] extends 'integer' ? N : never;
}[SettingName];

/** Complete settings: every row has a value, integers are numbers. */
export type Settings = {
  readonly [N in SettingName]: N extends IntegerName ? number : string;
};

/**
 * Reads all settings from an environment. Throws `SettingError` for a value that its row does
 * not allow and for a `TIDEMARK_…` variable that no row names.
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  for (const name of Object.keys(environment)) {
    if (name.startsWith('TIDEMARK_') && !(name in settings)) {
      throw new SettingError(name, `Cannot use setting ${name}: no setting has this name`);
    }
  }
  const values: Record<string, string | number> = {};
  for (const [name, rowOfName] of Object.entries<SettingRow>(settings)) {
    const text = environment[name] ?? rowOfName.default;
    values[name] = parseSetting(name, rowOfName, text);
  }
  return values as unknown as Settings;
}

/** The values of a Worker's `env` that can be settings: bindings are objects. */
export function settingTexts(env: object): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== 'object' && typeof value !== 'function') texts[name] = String(value);
  }
  return texts;
}

function parseSetting(name: string, rowOfName: SettingRow, text: string): string | number {
  if (rowOfName.kind === 'integer') return parseInteger(name, rowOfName, text);
  if (rowOfName.kind === 'url' && !URL.canParse(text)) {
    throw new SettingError(name, `Cannot use setting ${name}: "${text}" is not a URL`);
  }
  if (rowOfName.choices !== undefined && !rowOfName.choices.includes(text)) {
    const choices = rowOfName.choices.join(', ');
    throw new SettingError(name, `Cannot use setting ${name}: "${text}" is not one of ${choices}`);
  }
  return text;
}

function parseInteger(name: string, rowOfName: SettingRow, text: string): number {
  const value = /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
  const min = rowOfName.min ?? 0;
  const max = rowOfName.max ?? Number.MAX_SAFE_INTEGER;
  if (!(value >= min && value <= max)) {
    throw new SettingError(
      name,
      `Cannot use setting ${name}: "${text}" is not a whole number from ${min} to ${max}`,
    );
  }
  return value;
}

function row<K extends SettingKind>(
  kind: K,
  defaultValue: string,
  meaning: string,
  programs: readonly Program[],
) {
  return { kind, unit: '', default: defaultValue, meaning, programs } as const;
}

function integer(
  unit: string,
  defaultValue: number,
  meaning: string,
  programs: readonly Program[],
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
) {
  const kind = 'integer' as const;
  return { kind, unit, default: String(defaultValue), meaning, programs, min, max };
}
