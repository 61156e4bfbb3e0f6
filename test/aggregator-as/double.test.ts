/** Tests of number formatting; the oracle is V8's own Number::toString and BigInt. */
import { beforeAll, describe, expect, it } from 'vitest';
import { compileAssembly } from '../support/assembly.ts';

const seed = 20_261_122;
const out = 65_536 - 64;

let memory: WebAssembly.Memory;
let writeDouble: (out: number, value: number) => number;
let writeInt64: (out: number, value: bigint) => number;
let writeUint64: (out: number, value: bigint) => number;

beforeAll(async () => {
  const exports = await compileAssembly('aggregator-as/assembly/memory/double.ts');
  memory = exports['memory'] as WebAssembly.Memory;
  writeDouble = exports['writeDouble'] as typeof writeDouble;
  writeInt64 = exports['writeInt64'] as typeof writeInt64;
  writeUint64 = exports['writeUint64'] as typeof writeUint64;
});

function written(end: number): string {
  return Buffer.from(memory.buffer, out, end - out).toString('latin1');
}

/** Counts values whose text differs from V8's; returns the first few, for the message. */
function differences(values: Iterable<number>): string[] {
  const found: string[] = [];
  const bytes = new Uint8Array(memory.buffer);
  for (const value of values) {
    const wanted = Object.is(value, -0) ? '-0' : String(value);
    const end = writeDouble(out, value);
    let same = end - out === wanted.length;
    for (let i = 0; same && i < wanted.length; i++) same = bytes[out + i] === wanted.charCodeAt(i);
    if (!same && found.length < 10) found.push(`${wanted} became ${written(end)}`);
  }
  return found;
}

const bitsView = new DataView(new ArrayBuffer(8));

function fromBits(bits: bigint): number {
  bitsView.setBigUint64(0, BigInt.asUintN(64, bits));
  return bitsView.getFloat64(0);
}

function toBits(value: number): bigint {
  bitsView.setFloat64(0, value);
  return bitsView.getBigUint64(0);
}

function* neighbours(value: number, distance: bigint): Iterable<number> {
  const bits = toBits(value);
  for (let step = -distance; step <= distance; step++) {
    yield fromBits(bits + step);
    yield -fromBits(bits + step);
  }
}

/** xorshift128+ of 32-bit words, enough for test input. */
function randomWords(start: number): () => number {
  let state = start | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

describe('writeDouble()', () => {
  it('writes values of the ECMAScript and Go layouts', () => {
    const cases: [number, string][] = [
      [0, '0'],
      [-0, '-0'],
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, 'Infinity'],
      [Number.NEGATIVE_INFINITY, '-Infinity'],
      [0.1, '0.1'],
      [-1.5, '-1.5'],
      [1e-6, '0.000001'],
      [1e-7, '1e-7'],
      [1.25e-7, '1.25e-7'],
      [1e20, '100000000000000000000'],
      [1e21, '1e+21'],
      [1.5e300, '1.5e+300'],
      [5e-324, '5e-324'],
      [1.7976931348623157e308, '1.7976931348623157e+308'],
      [-2.2250738585072014e-308, '-2.2250738585072014e-308'],
    ];
    for (const [value, text] of cases) expect(written(writeDouble(out, value))).toBe(text);
  });

  it('agrees with V8 around every power of two', () => {
    for (let exponent = -1074; exponent <= 1023; exponent++) {
      expect(differences(neighbours(2 ** exponent, 3n))).toEqual([]);
    }
  });

  it('agrees with V8 around every power of ten and its multiples', () => {
    for (let exponent = -323; exponent <= 308; exponent++) {
      for (let digit = 1; digit <= 9; digit++) {
        expect(differences(neighbours(Number(`${digit}e${exponent}`), 2n))).toEqual([]);
      }
    }
  });

  it('agrees with V8 on all small subnormals', () => {
    expect(differences(Array.from({ length: 20_000 }, (_, i) => fromBits(BigInt(i))))).toEqual([]);
  });

  it('agrees with V8 on integers around 2^53 and 10^21, halves and hundredths', () => {
    const values: number[] = [];
    for (let i = -2000; i <= 2000; i++) {
      values.push(2 ** 53 + i, 1e21 + i * 131_072, i, i / 2, i / 100, i / 1000, (i * 2 + 1) / 1024);
    }
    expect(differences(values)).toEqual([]);
  });

  it(`agrees with V8 on 1e6 random bit patterns and 2e5 short decimals (seed ${seed})`, () => {
    const next = randomWords(seed);
    const view = new DataView(new ArrayBuffer(8));
    const patterns = function* patterns() {
      for (let i = 0; i < 1_000_000; i++) {
        view.setUint32(0, next());
        view.setUint32(4, next());
        yield view.getFloat64(0);
      }
      for (let i = 0; i < 200_000; i++) {
        const digits = next() % 10 ** (1 + (next() % 9));
        yield Number(`${digits}e${(next() % 40) - 20}`);
      }
    };
    expect(differences(patterns())).toEqual([]);
  });

  it('writes at most 25 bytes and nothing past them', () => {
    const bytes = new Uint8Array(memory.buffer);
    for (const value of [-2.2250738585072014e-308, -(2 ** -23) / 3, -1.1e-6, -1e20]) {
      bytes.fill(0x23, out, out + 64);
      const end = writeDouble(out, value);
      expect(end - out).toBeLessThanOrEqual(25);
      expect(written(out + 64).slice(end - out)).toBe('#'.repeat(64 - (end - out)));
    }
  });
});

describe('writeInt64() and writeUint64()', () => {
  it('agree with BigInt around every power of two and ten', () => {
    const centres = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i));
    for (let power = 1n; power < 1n << 64n; power *= 10n) centres.push(power);
    for (const centre of centres) {
      for (let value = centre - 2n; value <= centre + 2n; value++) {
        const unsigned = BigInt.asUintN(64, value);
        expect(written(writeUint64(out, unsigned))).toBe(String(unsigned));
        const signed = BigInt.asIntN(64, value);
        expect(written(writeInt64(out, signed))).toBe(String(signed));
        expect(written(writeInt64(out, -signed))).toBe(String(BigInt.asIntN(64, -signed)));
      }
    }
  });
});
