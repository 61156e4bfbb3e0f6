/**
 * The errors that the world may cause, as classes with fields. Callers branch on `code` and
 * `retryable`, never on text. What only a bug can cause is an assertion and is not here.
 */

/** The closed list of codes. */
export const errorCodes = [
  'BAD_OTLP',
  'BAD_ENCODING',
  'BAD_SETTING',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'UNSUPPORTED_ENCODING',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'THROTTLED',
  'KEY_STORE',
  'OVERLOADED',
  'CAPACITY',
  'SINK_FAILED',
  'CONFLICT',
  'NOT_FOUND',
  'CORRUPT_ARCHIVE',
  'CLICKHOUSE',
  'KAFKA',
  'KAFKA_REST',
  'OBJECT_STORE',
  'UNSUPPORTED_STORE',
  'PORT_TAKEN',
  'DATA_DIRECTORY',
  'BATCH_FAILED',
  'THREAD_ENDED',
  'PROGRAM_ENDED',
  'PROGRAM_MISSING',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface TidemarkErrorOptions {
  /** The fault under this one. */
  cause?: unknown;
  /** Whether the same call may succeed later. @default false */
  retryable?: boolean;
}

/** A fault of the outside world: bad bytes, a sink that is gone, a setting that cannot be. */
export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

export interface DecodeErrorOptions extends TidemarkErrorOptions {
  /** Path to the field, such as `resourceSpans[0].schemaUrl`. @default '' (not known) */
  field?: string;
}

/** OTLP bytes that cannot be decoded; `byteOffset` is where, in the inflated body. */
export class DecodeError extends TidemarkError {
  readonly byteOffset: number;
  readonly field: string;

  constructor(message: string, byteOffset: number, options: DecodeErrorOptions = {}) {
    super('BAD_OTLP', message, options);
    this.byteOffset = byteOffset;
    this.field = options.field ?? '';
  }
}

/** A setting that is unknown, unreadable or contradicts another. */
export class SettingError extends TidemarkError {
  readonly setting: string;

  constructor(setting: string, message: string, options: TidemarkErrorOptions = {}) {
    super('BAD_SETTING', message, options);
    this.setting = setting;
  }
}

/** A write that lost to another writer: the key existed already (HTTP 412). */
export class ConflictError extends TidemarkError {
  readonly key: string;

  constructor(key: string, options: TidemarkErrorOptions = {}) {
    super('CONFLICT', `Cannot create "${key}": it exists already`, options);
    this.key = key;
  }
}

/** An answer of ClickHouse that carries its numeric code, such as 60 for an unknown table. */
export class ClickHouseError extends TidemarkError {
  readonly clickhouseCode: number;

  constructor(clickhouseCode: number, message: string, options: TidemarkErrorOptions = {}) {
    super('CLICKHOUSE', message, options);
    this.clickhouseCode = clickhouseCode;
  }
}

/**
 * A fault of Kafka or of the way there. `kafkaType` is the protocol's name of it, such as
 * MESSAGE_TOO_LARGE, or CONNECTION, TIMEOUT, AUTHENTICATION or CLIENT where no broker answered.
 */
export class KafkaError extends TidemarkError {
  readonly kafkaType: string;

  constructor(kafkaType: string, message: string, options: TidemarkErrorOptions = {}) {
    super('KAFKA', message, options);
    this.kafkaType = kafkaType;
  }
}

/** A sender that is over its limit: it may try again after `retryAfterSeconds`. */
export class ThrottleError extends TidemarkError {
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super('THROTTLED', message, { retryable: true });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Why the Kafka REST gateway refuses a request or a record: an HTTP status, and the number that
 * Confluent's proxy puts into `error_code` for it.
 */
export class RestError extends TidemarkError {
  readonly status: number;
  readonly errorCode: number;

  constructor(
    status: number,
    errorCode: number,
    message: string,
    options: TidemarkErrorOptions = {},
  ) {
    super('KAFKA_REST', message, { retryable: status === 429 || status === 503, ...options });
    this.status = status;
    this.errorCode = errorCode;
  }
}
