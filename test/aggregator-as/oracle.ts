/**
 * OTLP requests as protobufjs reads them by the official protos, with every string and some messages
 * declared as bytes: so the tests see raw strings, and the raw bytes of an item. Doubles of metrics
 * are declared as the 64 bits that they are on the wire.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const protos = fileURLToPath(new URL('../../schemas/otlp/', import.meta.url));

const files = [
  'common/v1/common.proto',
  'resource/v1/resource.proto',
  'trace/v1/trace.proto',
  'logs/v1/logs.proto',
  'metrics/v1/metrics.proto',
  'collector/trace/v1/trace_service.proto',
  'collector/logs/v1/logs_service.proto',
  'collector/metrics/v1/metrics_service.proto',
];

function load(): protobuf.Root {
  const root = new protobuf.Root();
  for (const file of files) {
    const text = readFileSync(`${protos}opentelemetry/proto/${file}`, 'utf8')
      .replaceAll(/\bstring (?=\w+ = \d)/g, 'bytes ')
      .replace('opentelemetry.proto.resource.v1.Resource resource = 1', 'bytes resource = 1')
      .replace('opentelemetry.proto.common.v1.InstrumentationScope scope = 1', 'bytes scope = 1')
      .replace('repeated Span spans = 2', 'repeated bytes spans = 2')
      .replace('repeated LogRecord log_records = 2', 'repeated bytes log_records = 2')
      .replace('opentelemetry.proto.common.v1.AnyValue body = 5', 'bytes body = 5');
    protobuf.parse(file.startsWith('metrics/') ? rawMetrics(text) : text, root);
  }
  root.resolveAll();
  return root;
}

function rawMetrics(text: string): string {
  return text
    .replaceAll(/\bdouble (?=\w+ = \d)/g, 'fixed64 ')
    .replace('repeated Metric metrics = 2', 'repeated bytes metrics = 2')
    .replaceAll(/repeated \w+DataPoint data_points/g, 'repeated bytes data_points')
    .replaceAll(
      /^    (?:Gauge|Sum|Histogram|ExponentialHistogram|Summary) (?=\w+ = )/gm,
      '    bytes ',
    );
}

const root = load();

/** A decoded message: fields by name, absent ones undefined, 64-bit numbers as Long. */
export type Decoded = Record<string, unknown>;

/** Decodes a message of this type, keeping its unknown fields. */
export function decode(type: string, bytes: Uint8Array): Decoded {
  const reader = protobuf.Reader.create(Buffer.from(bytes));
  reader.discardUnknown = false;
  return root.lookupType(type).decode(reader);
}

/** Whether the message itself, or one within it, has fields that the protos do not know. */
export function hasUnknown(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  if (Array.isArray(value)) return value.some(hasUnknown);
  const { $unknowns: unknowns } = value as { $unknowns?: unknown[] };
  return (unknowns?.length ?? 0) > 0 || Object.values(value).some(hasUnknown);
}

/** The field's own value, not the prototype's default. */
export function own(value: Decoded, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

export function bytesOf(value: Decoded, name: string): Uint8Array {
  return (own(value, name) as Uint8Array | undefined) ?? new Uint8Array();
}

export function listOf(value: Decoded, name: string): Decoded[] {
  return (own(value, name) as Decoded[] | undefined) ?? [];
}

export function numberOf(value: Decoded, name: string): number {
  return (own(value, name) as number | undefined) ?? 0;
}

/** A 64-bit field as a number of that many bits. */
export function longOf(value: Decoded, name: string): bigint {
  const long = own(value, name) as { low: number; high: number } | undefined;
  return long ? (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0) : 0n;
}
