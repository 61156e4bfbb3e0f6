/** OTLP requests through protobufjs and the official `.proto` files: the outside witness. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { Signal } from '../../schemas/archive.ts';

const protos = fileURLToPath(new URL('../../schemas/otlp/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${protos}${target}`;
const services = 'opentelemetry/proto/collector';
root.loadSync([
  `${services}/trace/v1/trace_service.proto`,
  `${services}/metrics/v1/metrics_service.proto`,
  `${services}/logs/v1/logs_service.proto`,
]);
const lookup = (name: string) => root.lookupType(`opentelemetry.proto.collector.${name}`);
const types: Readonly<Record<Signal, protobuf.Type>> = {
  traces: lookup('trace.v1.ExportTraceServiceRequest'),
  metrics: lookup('metrics.v1.ExportMetricsServiceRequest'),
  logs: lookup('logs.v1.ExportLogsServiceRequest'),
};
const type = types.traces;

/** Bytes of a signal's request, given as protobufjs takes it (camel case, 64 bit as string). */
export function encodeRequest(signal: Signal, request: Record<string, unknown>): Uint8Array {
  const own = types[signal];
  return own.encode(own.fromObject(request)).finish();
}

/** Bytes of an ExportTraceServiceRequest, given as protobufjs takes it (camel case, 64 bit as string). */
export function encodeTraces(request: Record<string, unknown>): Uint8Array {
  return type.encode(type.fromObject(request)).finish();
}

/** The request as plain objects: 64-bit numbers as strings, bytes as Buffers, defaults filled in. */
export function decodeTraces(bytes: Uint8Array): Record<string, unknown> {
  return type.toObject(type.decode(Buffer.from(bytes)), {
    longs: String,
    bytes: Buffer,
    defaults: true,
    arrays: true,
    oneofs: true,
  });
}
