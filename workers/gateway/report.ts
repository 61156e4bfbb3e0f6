/**
 * The v3 dialect of Confluent's REST proxy: one JSON object a record in, one report a record out.
 * Data types BINARY (base64), STRING and JSON; schemas are not known. Produces nothing.
 */
import { RestError, TidemarkError, KafkaError } from '../../schemas/errors.ts';
import { fromBase64 } from './base64.ts';
import type { GatewayRecord, Outcome } from './record.ts';

/** A record, and what its report repeats. */
export interface ReportedRecord {
  readonly record: GatewayRecord;
  readonly keyType: string | undefined;
  readonly valueType: string | undefined;
}

/** One object of the stream. Throws `RestError` 400 for what is no JSON, 422 for what is no record. */
export function readRecord(object: Buffer, nowMs: number): ReportedRecord {
  const parsed = parse(object);
  const { partition_id: partition, timestamp } = parsed;
  const key = toData(parsed['key'], 'key');
  const value = toData(parsed['value'], 'value');
  if (partition !== undefined && partition !== null && !isPartition(partition)) {
    throw invalid('The partition_id is no whole number from 0 on');
  }
  return {
    record: {
      key: key.bytes,
      value: value.bytes,
      headers: toHeaders(parsed['headers']),
      timestampMs: timestamp === undefined || timestamp === null ? nowMs : toMs(timestamp),
      ...(isPartition(partition) && { partition }),
    },
    keyType: key.type,
    valueType: value.type,
  };
}

export interface ReportContext {
  readonly clusterId: string;
  readonly topic: string;
}

/** The report of a record that was read, one line of JSON. */
export function reportOf(
  { record, keyType, valueType }: ReportedRecord,
  outcome: Outcome,
  { clusterId, topic }: ReportContext,
): string {
  if (outcome instanceof TidemarkError) return errorReport(outcome);
  const { key, value } = record;
  const report = {
    error_code: 200,
    cluster_id: clusterId,
    topic_name: topic,
    partition_id: outcome.partition,
    offset: Number(outcome.offset),
    timestamp: new Date(outcome.timestampMs).toISOString(),
    ...(keyType !== undefined && { key: { type: keyType, size: key?.length ?? 0 } }),
    ...(valueType !== undefined && { value: { type: valueType, size: value?.length ?? 0 } }),
  };
  return `${JSON.stringify(report)}\n`;
}

/** The report of a record that was not stored. */
export function errorReport(error: TidemarkError): string {
  return `${JSON.stringify({ error_code: codeOf(error), message: error.message })}\n`;
}

/** Numbers as Confluent's proxy gives them: an HTTP status, or one with two digits more. */
function codeOf(error: TidemarkError): number {
  if (error instanceof RestError) return error.errorCode;
  const type = error instanceof KafkaError ? error.kafkaType : '';
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') return 413;
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return 40_403;
  if (type === 'TOPIC_AUTHORIZATION_FAILED') return 40_301;
  return error.retryable ? 50_003 : 50_002;
}

function parse(object: Buffer): Record<string, unknown> {
  try {
    // The splitter hands out what begins with a brace: when it parses, it is an object.
    return JSON.parse(object.toString('utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new RestError(400, 400, 'The record is no JSON', { cause });
  }
}

function toData(part: unknown, field: string): { bytes: Buffer | null; type: string | undefined } {
  if (part === undefined || part === null) return { bytes: null, type: undefined };
  const { type, data } = (typeof part === 'object' ? part : {}) as Record<string, unknown>;
  if (type !== 'BINARY' && type !== 'STRING' && type !== 'JSON') {
    throw invalid(`The ${field} has a type that is none of BINARY, STRING and JSON`);
  }
  if (data === undefined || data === null) return { bytes: null, type };
  if (type === 'JSON') return { bytes: Buffer.from(JSON.stringify(data)), type };
  if (typeof data !== 'string') throw invalid(`The ${field} has data that is no text`);
  const bytes = type === 'STRING' ? Buffer.from(data) : fromBase64(data);
  if (!bytes) throw invalid(`The ${field} has data that is no base64`);
  return { bytes, type };
}

function toHeaders(headers: unknown): Record<string, Buffer[]> {
  if (headers === undefined || headers === null) return {};
  if (!Array.isArray(headers)) throw invalid('The headers are no list');
  const byName = new Map<string, Buffer[]>();
  for (const header of headers as unknown[]) {
    const { name, value } = (header ?? {}) as Record<string, unknown>;
    const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
    if (typeof name !== 'string' || !bytes) {
      throw invalid('A header has no name, or a value that is no base64');
    }
    byName.set(name, [...(byName.get(name) ?? []), bytes]);
  }
  return Object.fromEntries(byName);
}

function toMs(timestamp: unknown): number {
  const ms = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  if (!(ms >= 0)) throw invalid('The timestamp is no time of RFC 3339 after 1970');
  return ms;
}

function isPartition(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function invalid(message: string): RestError {
  return new RestError(422, 422, message);
}
