/** Checks the finding of protobuf fields against protobufjs's writer. */
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { FieldReader } from '../../schemas/field.ts';

const { Writer } = protobuf;

/** Number, wire type, contents and end of every field, or undefined where there is none. */
function fieldsOf(bytes: Uint8Array): number[][] | undefined {
  const fields: number[][] = [];
  const field = new FieldReader();
  for (let at = 0; at < bytes.length; at = field.to) {
    if (!field.read(bytes, at, bytes.length)) return undefined;
    fields.push([field.number, field.wireType, field.from, field.contents, field.to]);
  }
  return fields;
}

const every = Writer.create()
  .uint32((1 << 3) | 0)
  .uint32(300)
  .uint32((16 << 3) | 1)
  .fixed64(7)
  .uint32((3 << 3) | 2)
  .string('abc')
  .uint32((4 << 3) | 5)
  .fixed32(9)
  .finish();

describe('FieldReader', () => {
  it('read() finds number, wire type, contents and end of fields of every wire type', () => {
    expect(fieldsOf(every)).toEqual([
      [1, 0, 0, 1, 3],
      [16, 1, 3, 5, 13],
      [3, 2, 13, 15, 18],
      [4, 5, 18, 19, 23],
    ]);
  });

  it('read() takes a group with everything in it as one field', () => {
    const group = Uint8Array.of(0x0b, 0x13, ...every, 0x14, 0x0c, 0x10, 0x01);
    expect(fieldsOf(group)).toEqual([
      [1, 3, 0, 1, every.length + 4],
      [2, 0, every.length + 4, every.length + 5, every.length + 6],
    ]);
  });

  it('read() refuses every truncation that cuts a field', () => {
    const ends = new Set([0, 3, 13, 18, 23]);
    for (let length = 0; length <= every.length; length += 1) {
      expect(fieldsOf(every.subarray(0, length)) !== undefined, `${length}`).toBe(ends.has(length));
    }
  });

  it.each([
    ['field number 0', [0x00, 0x01]],
    ['wire type 6', [0x0e, 0x01]],
    ['wire type 7', [0x0f, 0x01]],
    ['a group that only ends', [0x0c]],
    ['a group that ends as another', [0x0b, 0x14]],
    ['a group without an end', [0x0b, 0x08, 0x01]],
    ['a varint of 11 bytes', [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ['a field number past 2^29', [0xf8, 0xff, 0xff, 0xff, 0x7f, 0x01]],
    ['a length past the end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ])('read() refuses %s', (_what, bytes) => {
    expect(fieldsOf(Uint8Array.from(bytes))).toBeUndefined();
  });
});
