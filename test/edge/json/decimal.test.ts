/** Checks the number readers against BigInt and Number on the same text. */
import { describe, expect, it } from 'vitest';
import { ascii, negate, readDouble, readInteger } from '../../../edge/json/decimal.ts';
import { random } from '../random.ts';

const utf8 = new TextEncoder();

function integer(text: string): bigint | undefined {
  const bytes = utf8.encode(text);
  const halves = { low: 0, high: 0, negative: false };
  if (!readInteger(bytes, 0, bytes.length, halves)) return undefined;
  const value = (BigInt(halves.high) << 32n) | BigInt(halves.low);
  return halves.negative ? -value : value;
}

function double(text: string): number {
  const bytes = utf8.encode(text);
  return readDouble(bytes, 0, bytes.length);
}

describe('readInteger()', () => {
  it.each(['0', '7', '-1', '4294967295', '4294967296', '9007199254740993', '1697982593201336001'])(
    'readInteger() reads %s exactly',
    (text) => {
      expect(integer(text)).toBe(BigInt(text));
    },
  );

  it('readInteger() reads 64 bits and no more', () => {
    expect(integer('18446744073709551615')).toBe(2n ** 64n - 1n);
    expect(integer('18446744073709551616')).toBeUndefined();
    expect(integer('99999999999999999999')).toBeUndefined();
    expect(integer('-9223372036854775808')).toBe(-(2n ** 63n));
    expect(integer(`${'0'.repeat(50)}12`)).toBe(12n);
    expect(integer('9'.repeat(100_000))).toBeUndefined();
  });

  it.each([
    ['1.0', 1n],
    ['1e3', 1000n],
    ['1.5e1', 15n],
    ['1200e-2', 12n],
    ['0e5', 0n],
    ['0.0', 0n],
    ['184467440737095516150e-1', 2n ** 64n - 1n],
  ])('readInteger() reads %s, which is whole', (text, value) => {
    expect(integer(text)).toBe(value);
  });

  it.each([
    '',
    '-',
    '1.5',
    '3.f14',
    '1e',
    'abc',
    '1e-1',
    '0x10',
    '+5',
    ' 5',
    '1e30',
    '1e9999',
    '--1',
  ])('readInteger() refuses "%s"', (text) => {
    expect(integer(text)).toBeUndefined();
  });

  it('readInteger() agrees with BigInt on seeded random numbers', () => {
    const seed = 20_261_122;
    const next = random(seed);
    for (let count = 0; count < 20_000; count += 1) {
      const bits = BigInt(Math.floor(next() * 65));
      const value =
        ((BigInt(Math.floor(next() * 2 ** 32)) << 32n) | BigInt(Math.floor(next() * 2 ** 32))) >>
        (64n - bits);
      expect(integer(String(value)), `seed ${seed}`).toBe(value);
    }
  });
});

describe('negate()', () => {
  it.each([0n, 1n, 2n ** 32n, 2n ** 32n - 1n, 2n ** 63n])('negate() gives minus %d', (value) => {
    const halves = { low: Number(value & 0xffffffffn), high: Number(value >> 32n), negative: true };
    negate(halves);
    const twos = BigInt.asUintN(64, -value);
    expect((BigInt(halves.high) << 32n) | BigInt(halves.low)).toBe(twos);
  });
});

describe('readDouble()', () => {
  it.each([
    '0',
    '-0',
    '1',
    '-1.5',
    '0.1',
    '123456789.012345',
    '1e308',
    '5e-324',
    '2.2250738585072011e-308',
    '9007199254740993',
    '0.30000000000000004',
    '1E+2',
    '1697982593201336001',
  ])('readDouble() reads %s as Number() does', (text) => {
    expect(Object.is(double(text), Number(text))).toBe(true);
  });

  it('readDouble() is NaN past the largest double', () => {
    expect(double('1e309')).toBeNaN();
    expect(double('-1e309')).toBeNaN();
  });

  it('readDouble() agrees with Number() on seeded random numbers', () => {
    const seed = 20_261_123;
    const next = random(seed);
    for (let count = 0; count < 20_000; count += 1) {
      const value = (next() - 0.5) * 10 ** Math.floor(next() * 40 - 20);
      for (const text of [String(value), value.toFixed(6), value.toPrecision(8)]) {
        expect(Object.is(double(text), Number(text)), `${text}, seed ${seed}`).toBe(true);
      }
    }
  });
});

describe('ascii()', () => {
  it('ascii() takes the bytes between two positions', () => {
    expect(ascii(utf8.encode('abcdef'), 2, 4)).toBe('cd');
  });
});
