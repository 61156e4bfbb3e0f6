/** Requests made unlike any that a client sends: one byte changed, garbage, runs of bytes overwritten. */
import { varint } from './wire.ts';

/** Every request that differs from the sample in one byte, which is one of these or of one bit more or less. */
export function* corruptions(
  sample: Uint8Array,
  bytes: readonly number[],
  flips: readonly number[],
): Generator<{ corrupt: Uint8Array; where: string }> {
  for (const [at, was] of sample.entries()) {
    for (const byte of [...bytes, ...flips.map((flip) => was ^ flip)]) {
      const corrupt = Uint8Array.from(sample);
      corrupt[at] = byte;
      yield { corrupt, where: `byte ${at} = ${byte}` };
    }
  }
}

/** Up to 59 bytes of anything. */
export function garbage(random: () => number): Buffer {
  const length = Math.floor(random() * 60);
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** The request after each of four runs of up to 6 bytes that fell on it; always the same array. */
export function* overwrites(random: () => number, request: Uint8Array): Generator<Uint8Array> {
  for (let count = 0; count < 4 && request.length > 0; count++) {
    const at = Math.floor(random() * request.length);
    const run = varint(BigInt(Math.floor(random() * 2 ** 40)));
    request.set(run.slice(0, request.length - at), at);
    yield request;
  }
}
