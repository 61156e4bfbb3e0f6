import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { VarintReader, VarintWriter } from '../../../schemas/partials/varint.ts';

const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 32 - 1, 2 ** 32, 2 ** 35, 2 ** 53 - 1];
const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

describe('VarintWriter', () => {
  it('varint() and name() write what protobufjs writes', () => {
    const writer = new VarintWriter(3);
    const reference = protobuf.Writer.create();
    for (const number of numbers) {
      writer.varint(number);
      reference.uint64(number);
    }
    for (const name of ['', 'a', 'größe', '\uFEFFbom', '\u{1F30A}'.repeat(40_000)]) {
      writer.name(name);
      reference.string(name);
    }
    expect(Buffer.from(writer.bytes().subarray(3)).equals(reference.finish())).toBe(true);
  });
});

describe('VarintReader', () => {
  it('reads what protobufjs wrote', () => {
    const reference = protobuf.Writer.create();
    for (const number of numbers) reference.uint64(number);
    for (const name of ['', '\uFEFFbom', 'größe']) reference.string(name);
    reference.uint32(0xffff_ffff);
    const reader = new VarintReader(reference.finish(), 0);
    for (const number of numbers) expect(reader.varint()).toBe(number);
    for (const name of ['', '\uFEFFbom', 'größe']) expect(reader.name()).toBe(name);
    expect(reader.rest).toBe(5);
  });

  it('long() reads 64 bits and refuses fewer', () => {
    const bytes = new Uint8Array(new BigUint64Array([2n ** 64n - 2n]).buffer);
    expect(new VarintReader(bytes, 0).long()).toBe(2n ** 64n - 2n);
    expect(() => new VarintReader(bytes, 1).long()).toThrow(corrupt);
  });

  it('varint() refuses what does not end or passes 2^53', () => {
    for (const bytes of [[], [128], [255, 255, 255, 255, 255, 255, 255, 255, 1]]) {
      expect(() => new VarintReader(Uint8Array.from(bytes), 0).varint()).toThrow(corrupt);
    }
    const past = Uint8Array.from([128, 128, 128, 128, 128, 128, 128, 16]);
    expect(() => new VarintReader(past, 0).varint()).toThrow('2^53');
  });

  it('name() and count() refuse lengths that pass the end, and bytes that are not UTF-8', () => {
    expect(() => new VarintReader(Uint8Array.of(3, 97, 98), 0).name()).toThrow(corrupt);
    expect(() => new VarintReader(Uint8Array.of(2, 0xc3, 0x28), 0).name()).toThrow('UTF-8');
    expect(() => new VarintReader(Uint8Array.of(3, 0, 0, 0, 0, 0), 0).count(2)).toThrow(corrupt);
  });
});
