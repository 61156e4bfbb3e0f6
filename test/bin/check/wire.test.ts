/** Tests of the check's own protobuf code against protobufjs, which it never uses. */
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import * as wire from '../../../bin/check/wire.ts';

const { root } = protobuf.parse(`syntax = "proto3";
  message Inner { string text = 1; }
  message All {
    uint64 varint = 1; fixed64 fixed64 = 2; double double = 3; fixed32 fixed32 = 4;
    Inner inner = 5; int32 negative = 6; uint64 far = 2000;
    repeated double doubles = 7; repeated fixed64 counts = 8;
  }`);
const all = root.lookupType('All');

const message = wire.join(
  wire.varint(1, (1n << 64n) - 1n),
  wire.fixed64(2, (1n << 63n) + 1n),
  wire.double(3, -0.1),
  wire.fixed32(4, 0xfffffffe),
  wire.bytes(5, wire.bytes(1, 'é🎉')),
  wire.varint(6, -7),
  wire.bytes(7, wire.packedDoubles([1.5, -2])),
  wire.bytes(8, wire.packedFixed64([3n, 1n << 60n])),
  wire.group(9, wire.varint(1, 1), wire.bytes(2, 'in a group')),
  wire.varint(2000, 127),
);

const fields = {
  varint: '18446744073709551615',
  fixed64: '9223372036854775809',
  double: -0.1,
  fixed32: 4294967294,
  inner: { text: 'é🎉' },
  negative: -7,
  doubles: [1.5, -2],
  counts: ['3', '1152921504606846976'],
  far: '127',
};

describe('writers', () => {
  it('write what protobufjs reads, groups skipped', () => {
    expect(all.toObject(all.decode(message), { longs: String })).toEqual(fields);
  });
});

describe('readFields()', () => {
  const bytes = all.encode(all.fromObject(fields)).finish();

  it('reads what protobufjs writes', () => {
    const read = wire.readFields(bytes);
    expect(read?.map(({ field }) => field).toSorted((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 2000,
    ]);
    expect(read?.find(({ field }) => field === 1)?.value).toBe((1n << 64n) - 1n);
    const inner = read?.find(({ field }) => field === 5)?.value;
    expect(inner).toHaveLength(8);
    expect(wire.join(inner as Uint8Array)).toEqual(wire.bytes(1, 'é🎉'));
  });

  it('reads no message that is cut within a field', () => {
    const ends = new Set([0, bytes.length]);
    for (let at = 0; at < bytes.length; at += 1) {
      const read = wire.readFields(bytes.subarray(0, at));
      // A cut between two fields leaves a whole message of fewer fields.
      if (read !== undefined) ends.add(at);
    }
    expect(ends.size).toBe(10);
  });

  it.each([
    ['a field of number 0', Uint8Array.of(0, 1)],
    ['a varint of 11 bytes', new Uint8Array(12).fill(0x88)],
    ['wire type 7', Uint8Array.of(15, 1)],
    ['text', wire.utf8('{"code":3}')],
  ])('reads nothing of %s', (_what, wrong) => {
    expect(wire.readFields(wrong)).toBeUndefined();
  });
});
