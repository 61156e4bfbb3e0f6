/** Holds the field table against the official `.proto` files, read by protobufjs. */
import path from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { jsonName, otlpEnums, otlpMessages } from '../../schemas/otlp.ts';

const protos = path.join(import.meta.dirname, '../../schemas/otlp');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => path.join(protos, target);
for (const service of ['trace', 'metrics', 'logs']) {
  const file = `opentelemetry/proto/collector/${service}/v1/${service}_service.proto`;
  root.loadSync(file, { keepCase: true });
}
root.resolveAll();

const idFields = new Set(['trace_id', 'span_id', 'parent_span_id']);

function declared(type: protobuf.Type) {
  return type.fieldsArray
    .map((field) => ({
      number: field.id,
      name: field.name,
      type: typeOf(field),
      of: field.resolvedType?.name ?? '',
      repeated: field.repeated,
      oneof: field.partOf !== null && !field.partOf.isProto3Optional,
    }))
    .toSorted((a, b) => a.number - b.number);
}

function typeOf(field: protobuf.Field): string {
  if (field.resolvedType instanceof protobuf.Type) return 'message';
  if (field.resolvedType instanceof protobuf.Enum) return 'enum';
  return idFields.has(field.name) ? 'id' : field.type;
}

describe('otlpMessages', () => {
  it.each(Object.keys(otlpMessages))(
    'otlpMessages.%s has exactly the fields of the proto',
    (name) => {
      const type = root.lookupType(
        name === 'Status' ? 'opentelemetry.proto.trace.v1.Status' : name,
      );
      expect(otlpMessages[name]).toEqual(declared(type));
      const oneofs = type.oneofsArray.filter((oneof) => !oneof.isProto3Optional);
      expect(oneofs.length).toBeLessThanOrEqual(1);
    },
  );

  it('otlpMessages holds the request of every signal', () => {
    const requests = Object.keys(otlpMessages).filter((name) => name.startsWith('Export'));
    expect(requests.toSorted()).toEqual([
      'ExportLogsServiceRequest',
      'ExportMetricsServiceRequest',
      'ExportTraceServiceRequest',
    ]);
  });

  it('otlpMessages holds every message that it refers to', () => {
    const referred = Object.values(otlpMessages).flat();
    const missing = referred.filter(
      (field) =>
        (field.type === 'message' && !(field.of in otlpMessages)) ||
        (field.type === 'enum' && !(field.of in otlpEnums)),
    );
    expect(missing).toEqual([]);
  });
});

describe('otlpEnums', () => {
  it.each(Object.keys(otlpEnums))('otlpEnums.%s has exactly the values of the proto', (name) => {
    expect(otlpEnums[name]).toEqual({ ...root.lookupEnum(name).values });
  });
});

describe('jsonName()', () => {
  it('jsonName() agrees with protobufjs for every field', () => {
    for (const field of Object.values(otlpMessages).flat()) {
      expect(jsonName(field.name)).toBe(protobuf.util.camelCase(field.name));
    }
  });
});
