/**
 * Log requests shaped as SDKs and agents send them: 512 records each, 6 resource attributes, 3 to 6
 * of a record, texts and now and then a structured body. The same bytes on every run.
 */
import type protobuf from 'protobufjs';
import { bytes, makeNext, pick, resourceAttributes, startMs, text, whole } from '../payload.ts';
import type { Next } from '../payload.ts';

export const recordsPerRequest = 512;

const severities = [
  { number: 5, name: 'DEBUG' },
  { number: 9, name: 'INFO' },
  { number: 9, name: 'INFO' },
  { number: 13, name: 'WARN' },
  { number: 17, name: 'ERROR' },
];
const lines = [
  'GET /api/products/1234 200 in 12 ms',
  'connection pool exhausted: waited 250 ms for one of 32 connections',
  'order 82771 placed by customer 1992, 3 items, total 129.95 EUR, payment pending at provider',
  'cache miss for key product:1234, loading from database replica 2',
  'retrying request to payment after timeout (attempt 2 of 3)',
];

/** `count` different requests, as the encoder's bytes. */
export function makeLogRequests(type: protobuf.Type, count: number): Uint8Array[] {
  const next = makeNext(20_261_123);
  return Array.from({ length: count }, () => {
    const logRecords = Array.from({ length: recordsPerRequest }, () => makeRecord(next));
    const scope = { name: 'com.example.shop.OrderService', version: '2.7.5' };
    const resource = { attributes: resourceAttributes(next) };
    const request = { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] };
    return type.encode(type.fromObject(request)).finish().slice();
  });
}

function makeRecord(next: Next): object {
  const time = BigInt(startMs + next(60_000)) * 1_000_000n + BigInt(next(1e6));
  const { number, name } = severities[next(severities.length)] ?? { number: 9, name: 'INFO' };
  const isTraced = next(3) > 0;
  return {
    timeUnixNano: String(time),
    observedTimeUnixNano: String(time + 1_000_000n),
    severityNumber: number,
    severityText: name,
    body: next(10) === 0 ? structured(next) : { stringValue: pick(next, lines) },
    attributes: makeAttributes(next),
    ...(isTraced ? { traceId: bytes(next, 16), spanId: bytes(next, 8), flags: 1 } : {}),
  };
}

function structured(next: Next): object {
  const values = [text('message', pick(next, lines)), whole('user.id', next(100_000))];
  return { kvlistValue: { values } };
}

/** 3 to 6 of them. */
function makeAttributes(next: Next): object[] {
  return [
    text('code.function.name', 'com.example.shop.OrderService.place'),
    whole('code.line.number', next(500)),
    text('thread.name', `http-nio-8080-exec-${next(32)}`),
    text('log.logger', 'com.example.shop'),
    { key: 'retry', value: { boolValue: next(2) === 0 } },
    { key: 'elapsed', value: { doubleValue: next(100_000) / 100 } },
  ].slice(0, 3 + next(4));
}
