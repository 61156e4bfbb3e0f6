/** Settings of the Worker, and of what other programs share with it. */
import { dayMs, integer, mib, row } from './row.ts';

export const edgeSettings = {
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
  TIDEMARK_SINK_TIMEOUT_MS: integer(
    'ms',
    5000,
    'Time one sink may take for a batch',
    ['edge'],
    1,
    600_000,
  ),
  TIDEMARK_LEDGER_MS: integer(
    'ms',
    1000,
    'How long an isolate gathers what it counted for the ledger before it writes it; 0 writes before each answer',
    ['edge'],
    0,
    10_000,
  ),
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
} as const;
