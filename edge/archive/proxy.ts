/**
 * Speaks the two produce dialects of Kafka REST proxies, v2 and v3: where a call goes and what it
 * carries, as bytes: a string of the body would cost as much as all the rest. It sends nothing.
 */
import { base64Length } from '../../aggregator-as/base64.ts';
import { recordHeaders, recordKey } from '../../schemas/archive.ts';
import { SettingError } from '../../schemas/errors.ts';
import { produceRecordJsonBytesMax, streamedBodyBytesMin } from '../../schemas/limits.ts';
import type { Settings } from '../../schemas/settings.ts';
import { lendBody, writeBase64 } from '../base64.ts';

export type ProxySettings = Pick<
  Settings,
  | 'KAFKA_REST_URL'
  | 'KAFKA_REST_VERSION'
  | 'KAFKA_REST_CLUSTER'
  | 'KAFKA_REST_USER'
  | 'KAFKA_REST_PASSWORD'
  | 'KAFKA_REST_TOKEN'
  | 'KAFKA_REST_RECORD_BYTES_MAX'
  | 'KAFKA_REST_REQUEST_BYTES_MAX'
>;

/** A record of the archive leg: one OTLP request, or one piece of it. */
export interface ProduceRecord {
  readonly tenantId: string;
  readonly requestId: string;
  readonly otlp: Uint8Array;
}

/** A proxy as the settings describe it. */
export interface Proxy {
  readonly version: 'v2' | 'v3';
  readonly urlOf: (topic: string) => string;
  readonly headers: Readonly<Record<string, string>>;
  /** The largest value that a record may have: never more than a call of its own can carry. */
  readonly recordBytesMax: number;
  /** The largest body of a call. */
  readonly requestBytesMax: number;
}

/**
 * The proxy that the settings name, or undefined when they name none. Throws `SettingError` for
 * settings that contradict each other.
 */
export function readProxy(settings: ProxySettings): Proxy | undefined {
  const url = settings.KAFKA_REST_URL;
  if (url === '') return undefined;
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
    throw new SettingError('KAFKA_REST_URL', `Cannot use KAFKA_REST_URL: it is not an HTTP URL`);
  }
  const { username, search, hash } = new URL(url);
  if (username !== '' || search !== '' || hash !== '') {
    throw new SettingError(
      'KAFKA_REST_URL',
      'Cannot use KAFKA_REST_URL: it may have a path, but no user, query or fragment',
    );
  }
  const version = settings.KAFKA_REST_VERSION === 'v3' ? 'v3' : 'v2';
  const base = url.replace(/\/+$/, '');
  const requestBytesMax = settings.KAFKA_REST_REQUEST_BYTES_MAX;
  const valueBytesMax = Math.floor((requestBytesMax - produceRecordJsonBytesMax) / 4) * 3;
  return {
    version,
    urlOf: version === 'v3' ? recordsOf(base, settings) : (topic) => `${base}/topics/${topic}`,
    headers: { ...mediaTypes[version], ...authorization(settings) },
    recordBytesMax: Math.min(settings.KAFKA_REST_RECORD_BYTES_MAX, valueBytesMax),
    requestBytesMax,
  };
}

/** Upper bound of what a value of so many bytes adds to the body of a call. */
export function recordJsonBytes(valueBytes: number): number {
  return Math.ceil(valueBytes / 3) * 4 + produceRecordJsonBytesMax;
}

/**
 * The body of a call that produces `records`, ASCII. Where it `mayLend`, the body lies in memory that is
 * used again for the next one.
 */
export function bodyOf(
  version: 'v2' | 'v3',
  records: readonly ProduceRecord[],
  mayLend = false,
): Uint8Array {
  const [open, between, close] = version === 'v2' ? ['{"records":[', ',', ']}'] : ['', '\n', ''];
  const recordOf = version === 'v2' ? recordV2 : recordV3;
  const pieces: (string | Uint8Array)[] = [open];
  for (const [index, record] of records.entries()) {
    const [head, tail] = recordOf(record);
    pieces.push((index === 0 ? '' : between) + head, record.otlp, tail);
  }
  return assemble([...pieces, close], mayLend);
}

/** What stands around the value; v2 knows no headers. */
function recordV2(record: ProduceRecord): [string, string] {
  return [`{"key":"${base64(recordKey(record))}","value":"`, '"}'];
}

/** Header values are base64, as binary keys and values are. */
function recordV3(record: ProduceRecord): [string, string] {
  const headers = [
    { name: recordHeaders.tenant, value: base64(record.tenantId) },
    { name: recordHeaders.requestId, value: base64(record.requestId) },
  ];
  const key = JSON.stringify({ type: 'BINARY', data: base64(recordKey(record)) });
  return [
    `{"key":${key},"value":{"type":"BINARY","data":"`,
    `"},"headers":${JSON.stringify(headers)}}`,
  ];
}

/** ASCII texts as they are and bytes as base64, one after the other. */
function assemble(pieces: readonly (string | Uint8Array)[], mayLend: boolean): Uint8Array {
  const length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  const isStreamed = length >= streamedBodyBytesMin;
  const lent = mayLend && !isStreamed ? lendBody(length) : undefined;
  const body = lent ?? new Uint8Array(length);
  const encoder = new TextEncoder();
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') at += encoder.encodeInto(piece, body.subarray(at)).written;
    else at = writeBase64(piece, body, at);
  }
  return body;
}

const mediaTypes = {
  v2: {
    'Content-Type': 'application/vnd.kafka.binary.v2+json',
    Accept: 'application/vnd.kafka.v2+json, application/json',
  },
  v3: { 'Content-Type': 'application/json', Accept: 'application/json' },
};

function recordsOf(base: string, settings: ProxySettings): (topic: string) => string {
  if (settings.KAFKA_REST_CLUSTER === '') {
    throw new SettingError(
      'KAFKA_REST_CLUSTER',
      'Cannot use KAFKA_REST_VERSION v3: KAFKA_REST_CLUSTER names no cluster',
    );
  }
  const cluster = encodeURIComponent(settings.KAFKA_REST_CLUSTER);
  return (topic) => `${base}/v3/clusters/${cluster}/topics/${topic}/records`;
}

function authorization(settings: ProxySettings): Record<string, string> {
  const {
    KAFKA_REST_USER: user,
    KAFKA_REST_PASSWORD: password,
    KAFKA_REST_TOKEN: token,
  } = settings;
  if (token !== '' && user !== '') {
    throw new SettingError(
      'KAFKA_REST_TOKEN',
      'Cannot use KAFKA_REST_TOKEN together with KAFKA_REST_USER: the proxy takes one of them',
    );
  }
  if (token !== '') return { Authorization: `Bearer ${token}` };
  if (user !== '') return { Authorization: `Basic ${base64(`${user}:${password}`)}` };
  if (password === '') return {};
  throw new SettingError(
    'KAFKA_REST_PASSWORD',
    'Cannot use KAFKA_REST_PASSWORD: KAFKA_REST_USER names no user',
  );
}

function lengthOf(piece: string | Uint8Array): number {
  return typeof piece === 'string' ? piece.length : base64Length(piece.length);
}

function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
