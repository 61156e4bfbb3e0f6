/** Checks single values of OTLP/JSON against protobufjs's writer. */
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { writeScalar } from '../../../edge/json/scalar.ts';
import { Scan } from '../../../edge/json/scan.ts';
import { Wire } from '../../../edge/json/wire.ts';
import type { OtlpScalar } from '../../../schemas/otlp.ts';
import { hex } from '../proto.ts';

function written(type: OtlpScalar | 'enum', json: string): string {
  const wire = new Wire(1, 1000);
  const values = { SPAN_KIND_SERVER: 2 };
  writeScalar(new Scan(new TextEncoder().encode(json)), wire, { type, values });
  return hex(wire.written());
}

const writer = () => protobuf.Writer.create();

describe('writeScalar()', () => {
  it.each<[OtlpScalar | 'enum', string, protobuf.Writer]>([
    ['string', '"é"', writer().string('é')],
    ['bytes', '"AAEC"', writer().bytes(Uint8Array.of(0, 1, 2))],
    ['id', '"0aFF"', writer().bytes(Uint8Array.of(10, 255))],
    ['bool', 'true', writer().bool(true)],
    ['bool', 'false', writer().bool(false)],
    ['int32', '-5', writer().int32(-5)],
    ['int32', '"2147483647"', writer().int32(2_147_483_647)],
    ['uint32', '4294967295', writer().uint32(4_294_967_295)],
    ['int64', '-1', writer().int64(-1)],
    ['int64', '"300"', writer().int64(300)],
    ['fixed32', '257', writer().fixed32(257)],
    ['fixed64', '"258"', writer().fixed64(258)],
    ['double', '-2.5', writer().double(-2.5)],
    ['double', '"Infinity"', writer().double(Number.POSITIVE_INFINITY)],
    ['enum', '7', writer().int32(7)],
    ['enum', '"SPAN_KIND_SERVER"', writer().int32(2)],
  ])('writeScalar() writes %s %s as protobufjs does', (type, json, expected) => {
    expect(written(type, json)).toBe(hex(expected.finish()));
  });

  it.each<[OtlpScalar, string]>([
    ['string', '1'],
    ['bytes', '1'],
    ['id', 'null'],
    ['bool', '"true"'],
    ['int32', '2147483648'],
    ['uint32', '-1'],
    ['int64', '1.5'],
    ['fixed32', '"x"'],
    ['fixed64', '[]'],
    ['double', '"1x"'],
  ])('writeScalar() refuses %s %s', (type, json) => {
    expect(() => written(type, json)).toThrow(expect.objectContaining({ code: 'BAD_OTLP' }));
  });
});
