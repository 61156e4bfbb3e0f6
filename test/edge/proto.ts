/**
 * Decodes OTLP protobuf for the tests: protobufjs reads the official `.proto` files and the wire,
 * and only the loop between the two is ours, because workerd forbids the code that protobufjs
 * would generate.
 */
import protobuf from 'protobufjs';
import logsService from '../../schemas/otlp/opentelemetry/proto/collector/logs/v1/logs_service.proto?raw';
import metricsService from '../../schemas/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service.proto?raw';
import traceService from '../../schemas/otlp/opentelemetry/proto/collector/trace/v1/trace_service.proto?raw';
import common from '../../schemas/otlp/opentelemetry/proto/common/v1/common.proto?raw';
import logs from '../../schemas/otlp/opentelemetry/proto/logs/v1/logs.proto?raw';
import metrics from '../../schemas/otlp/opentelemetry/proto/metrics/v1/metrics.proto?raw';
import resource from '../../schemas/otlp/opentelemetry/proto/resource/v1/resource.proto?raw';
import trace from '../../schemas/otlp/opentelemetry/proto/trace/v1/trace.proto?raw';

const root = new protobuf.Root();
const messages = [common, resource, trace, metrics, logs];
const services = [traceService, metricsService, logsService];
for (const source of [...messages, ...services]) protobuf.parse(source, root, { keepCase: true });
root.resolveAll();

export type Decoded = { [field: string]: unknown };

/** The official declaration of a message. */
export function declared(name: string): protobuf.Type {
  return root.lookupType(name);
}

/**
 * Decodes a message of type `name`: fields under their JSON names, 64-bit numbers as decimal
 * strings, bytes as hex, absent fields left out. Throws on anything that is not the message.
 */
export function decode(name: string, bytes: Uint8Array, types: protobuf.Root = root): Decoded {
  const reader = protobuf.Reader.create(bytes);
  return decodeMessage(types.lookupType(name), reader, reader.len, {});
}

function decodeMessage(
  type: protobuf.Type,
  reader: protobuf.Reader,
  end: number,
  into: Decoded,
): Decoded {
  while (reader.pos < end) {
    const key = reader.uint32();
    const field = type.fieldsById[key >>> 3];
    if (field === undefined) throw new Error(`${type.name} has no field ${key >>> 3}`);
    const name = protobuf.util.camelCase(field.name);
    const wireType = field.resolvedType instanceof protobuf.Type ? 2 : wireTypeOf(field);
    if ((key & 7) === 2 && wireType !== 2 && field.repeated) {
      into[name] = [...((into[name] as unknown[]) ?? []), ...decodePacked(field, reader)];
      continue;
    }
    if ((key & 7) !== wireType) throw new Error(`${field.fullName} has wire type ${key & 7}`);
    for (const other of field.partOf?.fieldsArray ?? []) {
      if (other !== field) delete into[protobuf.util.camelCase(other.name)];
    }
    if (field.repeated)
      into[name] = [...((into[name] as unknown[]) ?? []), decodeValue(field, reader, {})];
    else into[name] = decodeValue(field, reader, (into[name] as Decoded) ?? {});
  }
  if (reader.pos !== end) throw new Error(`${type.name} does not end where it should`);
  return into;
}

/** Numbers that stand one after the other under one length, as proto3 writes them. */
function decodePacked(field: protobuf.Field, reader: protobuf.Reader): unknown[] {
  const end = reader.uint32() + reader.pos;
  const values: unknown[] = [];
  while (reader.pos < end) values.push(decodeValue(field, reader, {}));
  if (reader.pos !== end) throw new Error(`${field.fullName} does not end where it should`);
  return values;
}

function decodeValue(field: protobuf.Field, reader: protobuf.Reader, merged: Decoded): unknown {
  if (field.resolvedType instanceof protobuf.Type) {
    const end = reader.uint32() + reader.pos;
    return decodeMessage(field.resolvedType, reader, end, merged);
  }
  if (field.resolvedType instanceof protobuf.Enum) return reader.int32();
  switch (field.type) {
    case 'string':
      return reader.string();
    case 'bytes':
      return hex(reader.bytes());
    case 'bool':
      return reader.bool();
    case 'double':
      return reader.double();
    case 'int64':
      return decimal(reader.int64());
    case 'uint64':
      return decimal(reader.uint64());
    case 'fixed64':
      return decimal(reader.fixed64());
    case 'sfixed64':
      return decimal(reader.sfixed64());
    case 'fixed32':
      return reader.fixed32();
    case 'uint32':
      return reader.uint32();
    case 'int32':
      return reader.int32();
    case 'sint32':
      return reader.sint32();
    default:
      throw new Error(`${field.type} is not decoded here`);
  }
}

function wireTypeOf(field: protobuf.Field): number {
  if (field.resolvedType instanceof protobuf.Enum) return 0;
  return (protobuf.types.basic as Record<string, number>)[field.type] ?? -1;
}

/** Lower-case hex of bytes. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A 64-bit number as protobufjs reads it, in decimal. */
export function decimal(value: number | Long): string {
  if (typeof value === 'number') return String(value);
  const bits = (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
  return String(value.unsigned ? BigInt.asUintN(64, bits) : BigInt.asIntN(64, bits));
}

type Long = Exclude<ReturnType<protobuf.Reader['int64']>, number>;
