/** Checks the protobuf writer against protobufjs's reader. */
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { Wire, wireBytes, wireFixed32, wireFixed64, wireVarint } from '../../../edge/json/wire.ts';
import { decimal } from '../proto.ts';

const { Reader } = protobuf;

describe('Wire', () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1])('varint() writes %d', (value) => {
    const wire = new Wire(1, 100);
    wire.varint(value);
    expect(Reader.create(wire.written()).uint32()).toBe(value);
  });

  it.each([0n, 127n, 128n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n])(
    'varint64() and fixed64() write %d',
    (value) => {
      const low = Number(value & 0xffffffffn);
      const high = Number(value >> 32n);
      const wire = new Wire(1, 100);
      wire.varint64(low, high);
      wire.fixed64(low, high);
      const reader = Reader.create(wire.written());
      expect(decimal(reader.uint64())).toBe(String(value));
      expect(decimal(reader.fixed64())).toBe(String(value));
    },
  );

  it('fixed32() and double() write little-endian', () => {
    const wire = new Wire(1, 100);
    wire.fixed32(0xfedcba98);
    wire.double(-1.5e-300);
    const reader = Reader.create(wire.written());
    expect(reader.fixed32()).toBe(0xfedcba98);
    expect(reader.double()).toBe(-1.5e-300);
  });

  it.each([0, 1, 127, 128, 16_383, 16_384, 100_000])(
    'close() writes the length of %d bytes before them, whatever was left for it',
    (length) => {
      for (const prefixBytes of [1, 2, 3, 4]) {
        const wire = new Wire(1, 200_000);
        wire.key(1, wireBytes);
        const start = wire.open(prefixBytes);
        for (let index = 0; index < length; index += 1) wire.byte(index & 255);
        wire.close(start, prefixBytes);
        wire.key(2, wireVarint);
        wire.varint(7);
        const reader = Reader.create(wire.written());
        expect(reader.uint32()).toBe(0x0a);
        const bytes = reader.bytes();
        expect(bytes.length).toBe(length);
        expect(bytes.every((byte, index) => byte === (index & 255))).toBe(true);
        expect(reader.uint32()).toBe(0x10);
        expect(reader.uint32()).toBe(7);
        expect(reader.pos).toBe(reader.len);
      }
    },
  );

  it('text() writes UTF-8 with its length, and copy() long runs', () => {
    const long = new TextEncoder().encode('日本語'.repeat(100));
    const wire = new Wire(1, 10_000);
    wire.text('häß🎉');
    wire.varint(long.length);
    wire.copy(long, 0, long.length);
    const reader = Reader.create(wire.written());
    expect(reader.string()).toBe('häß🎉');
    expect(reader.string()).toBe('日本語'.repeat(100));
  });

  it('key() writes number and type of fields past 15', () => {
    const wire = new Wire(1, 100);
    wire.key(16, wireFixed32);
    wire.key(500, wireFixed64);
    const reader = Reader.create(wire.written());
    expect(reader.uint32()).toBe((16 << 3) | 5);
    expect(reader.uint32()).toBe((500 << 3) | 1);
  });

  it('remove() takes back what stands between two positions', () => {
    const wire = new Wire(1, 100);
    for (const byte of [1, 2, 3, 4, 5]) wire.byte(byte);
    wire.remove(1, 3);
    expect([...wire.written()]).toEqual([1, 4, 5]);
    expect(wire.length).toBe(3);
  });

  it('never holds more than its bound', () => {
    const wire = new Wire(1, 10);
    for (let index = 0; index < 10; index += 1) wire.byte(index);
    expect(() => wire.byte(1)).toThrow(expect.objectContaining({ code: 'BODY_TOO_LARGE' }));
  });
});
