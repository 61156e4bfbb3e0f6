/**
 * The isolate's base64 encoder, made at its first use, and its memory, which is lent to bodies that are
 * copied before anything else happens. Encodes only; it never keeps what it is given.
 */
import { Base64 } from '../aggregator-as/base64.ts';
import encoder from '../aggregator-as/build/encode.wasm';

let kept: Base64 | undefined;

function encoderOf(): Base64 {
  kept ??= new Base64(encoder);
  return kept;
}

/**
 * Writes the base64 of `bytes` into `target` from `at` on and returns where it ends; `target` has
 * `base64Length(bytes.length)` bytes left there.
 */
export function writeBase64(bytes: Uint8Array, target: Uint8Array, at: number): number {
  return encoderOf().write(bytes, target, at);
}

/** Room for a body of so many bytes, which holds until the next call of either function. */
export function lendBody(bytes: number): Uint8Array | undefined {
  return encoderOf().lend(bytes);
}
