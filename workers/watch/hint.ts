/** What whoever reads the archiver's log at night can do about a fault. Only words. */
import type { ErrorCode, TidemarkError } from '../../schemas/errors.ts';
import { KafkaError } from '../../schemas/errors.ts';

const kept = 'nothing is lost meanwhile: Kafka and the spool keep what waits';

const hints: Partial<Record<ErrorCode, string>> = {
  CORRUPT_ARCHIVE:
    'an object of the commit log is damaged or gone: restore it from a backup or an older version; until then this partition waits, the others go on',
  UNSUPPORTED_STORE: 'choose a store with atomic conditional writes: see docs/FLEET.md',
  CAPACITY: 'nothing is to be done: the next flush takes fewer requests',
};

const kafkaHints: Readonly<Record<string, string>> = {
  OFFSET_OUT_OF_RANGE:
    'the topic was deleted and made anew, or KAFKA_BROKERS names another cluster: see docs/FLEET.md',
  AUTHENTICATION: 'check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD',
  SASL_AUTHENTICATION_FAILED:
    'check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD',
  TLS: 'check KAFKA_TLS, KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_TLS_KEY, and the port of the listener',
  TOPIC_AUTHORIZATION_FAILED: 'the Kafka user needs READ and DESCRIBE on the topics otlp_*',
  GROUP_AUTHORIZATION_FAILED: 'the Kafka user needs READ on the groups that begin with KAFKA_GROUP',
};

/** One sentence without a period. */
export function hintOf(error: TidemarkError): string {
  if (error instanceof KafkaError) {
    const known = kafkaHints[error.kafkaType];
    return known ?? `if it lasts, check KAFKA_BROKERS, KAFKA_TLS and the brokers; ${kept}`;
  }
  if (error.code === 'OBJECT_STORE') {
    return error.retryable
      ? `if it lasts, check S3_ENDPOINT and the store; ${kept}`
      : `the store refuses us: check S3_BUCKET, the keys, and their rights to read, write, list and delete; ${kept}`;
  }
  return hints[error.code] ?? kept;
}
