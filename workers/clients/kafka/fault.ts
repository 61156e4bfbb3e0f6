/** Errors of the Kafka client library as ours. Decides what is worth another try, never tries. */
import { KafkaError, TidemarkError } from '../../../schemas/errors.ts';

/** The fields by which kafkajs tells its errors apart. */
interface LibraryError extends Error {
  readonly retriable?: boolean;
  /** The protocol's name of the error, such as NOT_LEADER_FOR_PARTITION. */
  readonly type?: string;
}

/** Faults of these names come from this side of the connection. */
const localTypes: Readonly<Record<string, string>> = {
  KafkaJSConnectionError: 'CONNECTION',
  KafkaJSConnectionClosedError: 'CONNECTION',
  KafkaJSBrokerNotFound: 'CONNECTION',
  KafkaJSNoBrokerAvailableError: 'CONNECTION',
  KafkaJSRequestTimeoutError: 'TIMEOUT',
  KafkaJSTimeout: 'TIMEOUT',
  KafkaJSLockTimeout: 'TIMEOUT',
  KafkaJSGroupCoordinatorNotFound: 'COORDINATOR_NOT_AVAILABLE',
  KafkaJSSASLAuthenticationError: 'AUTHENTICATION',
};

/**
 * Codes of OpenSSL and Node for a broker that is not who it should be, for one that does not take us
 * for who we are, and for one that speaks no TLS. Only people can mend these.
 */
const tlsCode = /^(ERR_(SSL|TLS|OSSL)_|CERT_|UNABLE_TO_|HOSTNAME_)|SELF_SIGNED/;

/** The library does not try these again by itself; its caller may. */
const passing = new Set(['CONNECTION', 'TIMEOUT', 'COORDINATOR_NOT_AVAILABLE']);

/**
 * Any error of kafkajs as a `KafkaError`; `action` begins the message, as in `Cannot produce to
 * otlp_spans`. The library wraps the fault in "retries exceeded"; what is under it counts.
 */
export function kafkaFault(error: unknown, action: string): TidemarkError {
  const fault = innermost(error);
  if (fault instanceof TidemarkError) return fault;
  if (!(fault instanceof Error)) return new KafkaError('CLIENT', `${action}: ${String(fault)}`);
  const { type, retriable, name, message } = fault as LibraryError;
  const isTls = tlsCode.test(codeOf(fault));
  const kafkaType = isTls ? 'TLS' : (type ?? localTypes[name] ?? 'CLIENT');
  const retryable = !isTls && (passing.has(kafkaType) || (retriable ?? isNetwork(fault)));
  const reason = type === undefined ? message : `${message} (${type})`;
  return new KafkaError(kafkaType, `${action}: ${reason}`, { cause: error, retryable });
}

function innermost(error: unknown): unknown {
  if (isAggregate(error)) return innermost(error.errors[0]);
  if (!(error instanceof Error) || error instanceof TidemarkError) return error;
  const isWrapper = /^KafkaJS(NumberOfRetriesExceeded|NonRetriableError|Error)$/.test(error.name);
  return isWrapper && error.cause instanceof Error ? innermost(error.cause) : error;
}

function isAggregate(error: unknown): error is Error & { errors: unknown[] } {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

function isNetwork(error: Error): boolean {
  return codeOf(error).startsWith('E');
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** What `call` returns; throws its faults as `kafkaFault` has them. */
export async function attempt<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw kafkaFault(error, action);
  }
}
