/** Holds the base64 encoder to Node's at every length that a window, a vector or a group ends in. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Base64, base64Length } from '../../aggregator-as/base64.ts';
import { base64WindowBytes, lentBytesMax } from '../../schemas/limits.ts';

const wasm = readFileSync(path.join(import.meta.dirname, '../../aggregator-as/build/encode.wasm'));
const encoder = new Base64(new WebAssembly.Module(wasm));

function encode(bytes: Uint8Array): string {
  const target = new Uint8Array(base64Length(bytes.length) + 2).fill(0x7e);
  expect(encoder.write(bytes, target, 1)).toBe(target.length - 1);
  expect([target[0], target.at(-1)]).toEqual([0x7e, 0x7e]);
  return Buffer.from(target.subarray(1, -1)).toString('latin1');
}

describe('Base64', () => {
  it('write() equals Node at every length up to 200 and around windows', () => {
    const lengths = Array.from({ length: 200 }, (_, length) => length);
    for (const windows of [1, 2, 5]) {
      for (let near = -13; near <= 13; near += 1) lengths.push(windows * base64WindowBytes + near);
    }
    for (const length of lengths) {
      const bytes = randomBytes(length);
      expect(encode(bytes) === bytes.toString('base64'), `length ${length}`).toBe(true);
    }
  });

  it('write() has every letter at every place', () => {
    const bytes = Buffer.from(
      Array.from({ length: 64 * 12 }, (_, index) => {
        const value = Math.floor(index / 12);
        return [(value << 2) | (value >> 4), (value << 4) | (value >> 2), (value << 6) | value][
          index % 3
        ] as number;
      }).map((byte) => byte & 255),
    );
    expect(encode(bytes)).toBe(bytes.toString('base64'));
    expect(new Set(encode(bytes)).size).toBe(64);
  });

  it('write() puts texts where they belong in memory that was lent', () => {
    const pieces = [5, 0, 49_152, 49_153, 100_000].map((length) => randomBytes(length));
    const length = pieces.reduce((sum, piece) => sum + 2 + base64Length(piece.length), 0);
    const body = encoder.lend(length);
    if (!body) throw new Error('nothing was lent');
    let at = 0;
    for (const piece of pieces) {
      body.set(Buffer.from('<>'), at);
      at = encoder.write(piece, body, at + 2);
    }
    const texts = pieces.map((piece) => `<>${piece.toString('base64')}`);
    expect(Buffer.from(body).toString('latin1') === texts.join('')).toBe(true);
    expect(encoder.lend(lentBytesMax)?.length).toBe(lentBytesMax);
    expect(encoder.lend(lentBytesMax + 1)).toBeUndefined();
    expect(() => encoder.write(randomBytes(3), body, body.length - 3)).toThrow('Bug: no room');
  });

  it('write() throws when the target is too small', () => {
    expect(() => encoder.write(new Uint8Array(3), new Uint8Array(3), 0)).toThrow('Bug: no room');
  });
});
