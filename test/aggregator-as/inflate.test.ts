/** Holds the transcoder's inflater against zlib: random bytes of every strategy, cut and damaged ones. */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { loadTranscoder } from './module.ts';

const seed = 20_261_123;

/** Numbers from 0 up to, not including, a bound; Park and Miller's generator. */
function randomOf(start: number): (bound: number) => number {
  let state = start;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}

function inflated(deflated: Uint8Array, bytes: number): Uint8Array | undefined {
  return transcoder.inflate(deflated, bytes) ? transcoder.inflated() : undefined;
}

const transcoder = new Transcoder(await loadTranscoder());

/** Bytes that repeat others from far and near, with more or fewer letters. */
function textOf(random: (bound: number) => number, length: number): Uint8Array {
  const [letters, repeats] = [1 + random(256), random(10)];
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    if (at > 0 && random(10) < repeats) {
      const distance = 1 + random(random(2) === 0 ? Math.min(at, 20) : Math.min(at, 32_768));
      for (let rest = 3 + random(300); rest > 0 && at < length; rest -= 1, at += 1) {
        bytes[at] = bytes[at - distance] ?? 0;
      }
    } else bytes[at++] = random(letters);
  }
  return bytes;
}

const strategies = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_RLE,
  constants.Z_FIXED,
];

describe('Transcoder.inflate()', () => {
  it(`Transcoder.inflate() makes what zlib deflated, whatever its way; seed ${seed}`, () => {
    const random = randomOf(seed);
    for (let turn = 0; turn < 60; turn += 1) {
      const plain = textOf(random, turn < 3 ? turn : random(turn % 10 === 0 ? 150_000 : 5000));
      for (const strategy of strategies) {
        for (const level of [0, 1, 9]) {
          const options = { strategy, level, memLevel: 1 + random(9), windowBits: 9 + random(7) };
          const view = inflated(deflateRawSync(plain, options), plain.length);
          expect(view && Buffer.compare(view, plain)).toBe(0);
        }
      }
    }
  });

  it('Transcoder.inflate() gives up on every cut, on bytes that follow, and on other lengths', () => {
    const plain = textOf(randomOf(seed), 2000);
    for (const strategy of strategies) {
      const deflated = deflateRawSync(plain, { strategy });
      for (let end = 0; end < deflated.length; end += 1) {
        expect(inflated(deflated.subarray(0, end), plain.length)).toBeUndefined();
      }
      expect(inflated(Buffer.concat([deflated, Buffer.of(0)]), plain.length)).toBeUndefined();
      for (const bytes of [0, 1, plain.length - 1, plain.length + 1, 2 * plain.length]) {
        expect(inflated(deflated, bytes)).toBeUndefined();
      }
    }
  });

  it(`Transcoder.inflate() never takes what zlib refuses, and makes nothing else; seed ${seed}`, () => {
    const random = randomOf(seed);
    const plain = textOf(random, 3000);
    let taken = 0;
    for (let turn = 0; turn < 4000; turn += 1) {
      const strategy = strategies[turn % strategies.length];
      const damaged = Buffer.from(deflateRawSync(plain, { strategy, level: 1 + (turn % 9) }));
      for (let count = 1 + random(3); count > 0; count -= 1) {
        const at = random(turn % 2 === 0 ? 100 : damaged.length);
        damaged[at % damaged.length] = random(256);
      }
      const view = inflated(damaged, plain.length);
      if (view === undefined) continue;
      taken += 1;
      expect(Buffer.compare(view, inflateRawSync(damaged))).toBe(0);
    }
    // A changed literal is no fault of the stream: that is what checksums are for.
    expect(taken).toBeGreaterThan(100);
  });
});
