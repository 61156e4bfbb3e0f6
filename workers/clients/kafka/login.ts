/**
 * How to reach Kafka's brokers and log in there: settings as the client library wants them, and where
 * its log lines go. Refuses settings that contradict each other; connects to nothing. No secret is
 * logged.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import kafkajs from 'kafkajs';
import type { KafkaConfig, LogEntry } from 'kafkajs';
import { SettingError } from '../../../schemas/errors.ts';
import * as limits from '../../../schemas/limits/kafka.ts';
import type { Settings } from '../../../schemas/settings.ts';

export type KafkaSettings = Pick<
  Settings,
  | 'KAFKA_BROKERS'
  | 'KAFKA_CLIENT_ID'
  | 'KAFKA_TLS'
  | 'KAFKA_TLS_CA'
  | 'KAFKA_TLS_CERT'
  | 'KAFKA_TLS_KEY'
  | 'KAFKA_TLS_KEY_PASSWORD'
  | 'KAFKA_SASL_MECHANISM'
  | 'KAFKA_SASL_USERNAME'
  | 'KAFKA_SASL_PASSWORD'
>;

/** The part of a pino logger that is used. */
export interface KafkaLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

/** Parts of the library that log each attempt to connect, or to log in. */
const connections = /^(Connection|BrokerPool|Cluster|Sasl)/;

/** Brokers, TLS, SASL and log. Throws `SettingError`; reads the files that the settings name. */
export function loginOf(settings: KafkaSettings, log: KafkaLog): KafkaConfig {
  const sasl = saslOf(settings);
  return {
    brokers: brokersOf(settings.KAFKA_BROKERS),
    clientId: settings.KAFKA_CLIENT_ID,
    ssl: tlsOf(settings),
    ...(sasl && { sasl }),
    connectionTimeout: limits.kafkaConnectMs,
    authenticationTimeout: limits.kafkaConnectMs,
    logLevel: kafkajs.logLevel.INFO,
    logCreator: () => (entry) => writeLog(log, entry),
  };
}

function brokersOf(text: string): string[] {
  const brokers = text.split(',').map((broker) => broker.trim());
  for (const broker of brokers) {
    const port = Number(/^(?:\[[0-9a-f:]+\]|[^\s:/]+):(\d{1,5})$/i.exec(broker)?.[1]);
    if (port >= 1 && port <= 65_535) continue;
    const what = text.trim() === '' ? 'it is empty, wanted' : `"${broker}" is not`;
    const message = `Cannot use setting KAFKA_BROKERS: ${what} host:port`;
    throw new SettingError('KAFKA_BROKERS', message);
  }
  return brokers;
}

function tlsOf(settings: KafkaSettings): ConnectionOptions | false {
  const names = ['KAFKA_TLS_CA', 'KAFKA_TLS_CERT', 'KAFKA_TLS_KEY'] as const;
  if (settings.KAFKA_TLS === 'off') {
    for (const name of names) assertNeedless(settings, name, 'KAFKA_TLS is off');
    return false;
  }
  const [ca, cert, key] = names.map((name) => pemOf(settings, name));
  if (!cert) assertNeedless(settings, 'KAFKA_TLS_KEY', 'KAFKA_TLS_CERT is empty');
  if (cert && !key) {
    const message = 'Cannot use setting KAFKA_TLS_CERT: KAFKA_TLS_KEY is empty';
    throw new SettingError('KAFKA_TLS_KEY', message);
  }
  const passphrase = settings.KAFKA_TLS_KEY_PASSWORD;
  return {
    ...(ca && { ca }),
    ...(cert && { cert, key }),
    ...(passphrase !== '' && { passphrase }),
  };
}

function assertNeedless(
  settings: KafkaSettings,
  name: 'KAFKA_TLS_CA' | 'KAFKA_TLS_CERT' | 'KAFKA_TLS_KEY',
  reason: string,
): void {
  if (settings[name] === '') return;
  throw new SettingError(name, `Cannot use setting ${name}: ${reason}`);
}

/** The PEM text of a setting that holds it or names its file; `undefined` when the setting is empty. */
function pemOf(
  settings: KafkaSettings,
  name: 'KAFKA_TLS_CA' | 'KAFKA_TLS_CERT' | 'KAFKA_TLS_KEY',
): string | undefined {
  const value = settings[name];
  if (value === '') return undefined;
  const text = value.includes('-----BEGIN') ? value : readPem(name, value);
  if (text.includes('-----BEGIN')) return text;
  throw new SettingError(name, `Cannot use setting ${name}: its file has no PEM text`);
}

function readPem(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    // Not the value: somebody may have put a key there without its first line.
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const message = `Cannot use setting ${name}: neither PEM text nor a file that can be read`;
    throw new SettingError(name, `${message} (${code})`);
  }
}

function saslOf(settings: KafkaSettings): KafkaConfig['sasl'] {
  const mechanism = settings.KAFKA_SASL_MECHANISM;
  const [username, password] = [settings.KAFKA_SASL_USERNAME, settings.KAFKA_SASL_PASSWORD];
  if (mechanism === 'none') return undefined;
  if (username === '' || password === '') {
    const message = `Cannot log in at Kafka by ${mechanism}: user or password is empty`;
    throw new SettingError('KAFKA_SASL_MECHANISM', message);
  }
  if (mechanism === 'plain') return { mechanism, username, password };
  if (mechanism === 'scram-sha-256') return { mechanism, username, password };
  return { mechanism: 'scram-sha-512', username, password };
}

/**
 * What ends a call is thrown as well, so that the library's lines are only news. Those of connections
 * come with every try.
 */
function writeLog(log: KafkaLog, { level, namespace, log: entry }: LogEntry): void {
  const { ERROR, WARN } = kafkajs.logLevel;
  const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = entry;
  const text = `Kafka client: ${message}`;
  const isNews = level === ERROR || level === WARN;
  if (isNews && !connections.test(namespace)) log.info({ namespace, ...fields }, text);
  else log.debug({ namespace, ...fields }, text);
}
