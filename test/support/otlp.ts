/** OTLP trace requests through protobufjs and the official `.proto` files: the outside witness. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const protos = fileURLToPath(new URL('../../schemas/otlp/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${protos}${target}`;
root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
const type = root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');

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
