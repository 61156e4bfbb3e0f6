/** Tests of Thrift's compact protocol, by bytes of its specification. */
import { expect, it } from 'vitest';
import { ThriftReader } from '../../../batch/parquet/thrift.ts';

it('ThriftReader reads the fields that are asked for and skips the others', () => {
  // 1: i32 -1; 3: list of i32 [1, 2]; 20 (long form): binary 'ab'; 21: struct { 1: true }; 22: i64 300.
  const bytes = [0x15, 1, 0x29, 0x25, 2, 4, 0x08, 40, 2, 97, 98, 0x1c, 0x11, 0, 0x16, 0xd8, 4, 0];
  const found: unknown[] = [];
  const reader = new ThriftReader(Uint8Array.from(bytes));
  reader.struct((id) => {
    if (id === 1 || id === 22) found.push(reader.int());
    else if (id === 20) found.push(reader.text());
    else return false;
    return undefined;
  });
  expect(found).toEqual([-1, 'ab', 300]);
  expect(reader.at).toBe(bytes.length);
});
