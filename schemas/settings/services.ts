/** Settings of the services that Tidemark works with: ClickHouse, S3, Kafka and its proxy. */
import { integer, row } from './row.ts';

export const servicesSettings = {
  CLICKHOUSE_URL: row('url', 'http://127.0.0.1:8123', 'ClickHouse HTTP interface', ['all']),
  CLICKHOUSE_USER: row('string', 'default', 'ClickHouse user', ['all']),
  CLICKHOUSE_PASSWORD: row('secret', '', 'ClickHouse password', ['all']),
  CLICKHOUSE_READ_USER: row(
    'string',
    '',
    'ClickHouse user of the read API, which should be able to read alone; empty: CLICKHOUSE_USER',
    ['edge'],
  ),
  CLICKHOUSE_READ_PASSWORD: row('secret', '', 'Password of CLICKHOUSE_READ_USER', ['edge']),
  CLICKHOUSE_DATABASE: row('string', 'default', 'ClickHouse database', ['all']),
  S3_ENDPOINT: row(
    'url',
    'http://127.0.0.1:8787/cdn-cgi/local/r2/s3',
    'S3 API of the archive bucket (R2, AWS S3 or any with conditional writes)',
    ['archive', 'batch', 'start'],
  ),
  S3_BUCKET: row('string', 'tidemark', 'Bucket of the archive and the spool', ['archive', 'batch']),
  S3_REGION: row(
    'string',
    'auto',
    'Region of the bucket; R2 says `auto`, other stores name theirs',
    ['archive', 'batch'],
  ),
  S3_ADDRESSING: {
    ...row('choice', 'path', 'Where the bucket stands in addresses: in the path or the host name', [
      'archive',
      'batch',
    ]),
    choices: ['path', 'host'],
  },
  S3_ACCESS_KEY_ID: row(
    'string',
    'tidemark',
    'Access key of the bucket; empty: what AWS SDKs find (environment, profile, role)',
    ['archive', 'batch'],
  ),
  S3_SECRET_ACCESS_KEY: row('secret', 'tidemark-local', 'Secret key of the bucket', [
    'archive',
    'batch',
  ]),
  S3_SESSION_TOKEN: row('secret', '', 'Session token that belongs to temporary keys', [
    'archive',
    'batch',
  ]),
  S3_CHECKSUM: {
    ...row(
      'choice',
      'crc32',
      'Checksum that the store keeps with objects and that is compared when whole ones are read',
      ['archive', 'batch'],
    ),
    choices: ['crc32', 'sha256', 'off'],
  },
  S3_TIMEOUT_MS: integer(
    'ms',
    30_000,
    'Longest silence of a request to the bucket; uploads get more by their size',
    ['archive', 'batch'],
    100,
    600_000,
  ),
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
    ...row('choice', 'off', 'TLS to brokers', ['archive', 'kafka-rest']),
    choices: ['off', 'on'],
  },
  KAFKA_TLS_CA: row(
    'string',
    '',
    'Authorities that brokers are checked by, as PEM text or a file; empty: those of Node',
    ['archive', 'kafka-rest'],
  ),
  KAFKA_TLS_CERT: row(
    'string',
    '',
    'Certificate that brokers know us by (mTLS), as PEM text or a file; empty: none',
    ['archive', 'kafka-rest'],
  ),
  KAFKA_TLS_KEY: row('secret', '', 'Key of that certificate, as PEM text or a file', [
    'archive',
    'kafka-rest',
  ]),
  KAFKA_TLS_KEY_PASSWORD: row('secret', '', 'Password of that key, if it is encrypted', [
    'archive',
    'kafka-rest',
  ]),
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
} as const;
