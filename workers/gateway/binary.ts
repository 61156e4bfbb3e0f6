/**
 * The v2 dialect of Confluent's REST proxy: one JSON document of records with base64 keys and values
 * in, one of offsets out. Produces nothing.
 */
import { RestError, TidemarkError } from '../../schemas/errors.ts';
import { fromBase64 } from './base64.ts';
import type { GatewayRecord, Outcome } from './record.ts';

/** Media type of requests. */
export const binaryType = 'application/vnd.kafka.binary.v2+json';

/** Media type of answers. */
export const answerType = 'application/vnd.kafka.v2+json';

/** The records of a request. Throws `RestError` 400 for what is no JSON, 422 for what is no record. */
export function readBinary(body: Buffer, nowMs: number): GatewayRecord[] {
  const records = parse(body)['records'];
  if (!Array.isArray(records) || records.length === 0) {
    throw invalid('The request has no records');
  }
  return records.map((record: unknown, index) => toRecord(record, index, nowMs));
}

/** The answer to a request: one entry a record, in order; the numbers are Confluent's. */
export function binaryAnswer(outcomes: readonly Outcome[]): string {
  const offsets = outcomes.map((outcome) => {
    if (outcome instanceof TidemarkError) {
      // 1: an error that stays, 2: one that may pass.
      const code = outcome.retryable ? 2 : 1;
      return { partition: null, offset: null, error_code: code, error: outcome.message };
    }
    const { partition, offset } = outcome;
    return { partition, offset: Number(offset), error_code: null, error: null };
  });
  return JSON.stringify({ key_schema_id: null, value_schema_id: null, offsets });
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (isObject(parsed)) return parsed;
  } catch (cause) {
    throw new RestError(400, 400, 'The request is no JSON', { cause });
  }
  throw invalid('The request is no JSON object');
}

function toRecord(record: unknown, index: number, timestampMs: number): GatewayRecord {
  if (!isObject(record)) throw invalid(`Record ${index} is no object`);
  const { key, value, partition } = record;
  const bytes = { key: toBytes(key, 'key', index), value: toBytes(value, 'value', index) };
  if (partition === undefined || partition === null) return { ...bytes, timestampMs };
  if (typeof partition !== 'number' || !Number.isInteger(partition) || partition < 0) {
    throw invalid(`Record ${index} has a partition that is no whole number from 0 on`);
  }
  return { ...bytes, timestampMs, partition };
}

function toBytes(text: unknown, field: string, index: number): Buffer | null {
  if (text === undefined || text === null) return null;
  const bytes = typeof text === 'string' ? fromBase64(text) : undefined;
  if (!bytes) throw invalid(`Record ${index} has a ${field} that is no base64`);
  return bytes;
}

function invalid(message: string): RestError {
  return new RestError(422, 422, message);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
