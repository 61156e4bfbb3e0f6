/** The isolate's base64 encoder, made at its first use. Encodes only; it never keeps what it is given. */
import { Base64 } from '../aggregator-as/base64.ts';
import encoder from '../aggregator-as/build/encode.wasm';

let kept: Base64 | undefined;

/**
 * Writes the base64 of `bytes` into `target` from `at` on and returns where it ends; `target` has
 * `base64Length(bytes.length)` bytes left there.
 */
export function writeBase64(bytes: Uint8Array, target: Uint8Array, at: number): number {
  kept ??= new Base64(encoder);
  return kept.write(bytes, target, at);
}
