/**
 * The base64 encoder's TypeScript side: bytes to ASCII bytes, without a string in between. It never
 * decodes and never keeps a view of its memory.
 */
import { base64WindowBytes, lentBytesMax } from '../schemas/limits.ts';

interface Exports {
  readonly memory: WebAssembly.Memory;
  inputAt(): number;
  outputAt(): number;
  encode(bytes: number, at: number): number;
}

/** Encodes with padding (RFC 4648, section 4). One instance serves one caller at a time. */
export class Base64 {
  readonly #wasm: Exports;
  readonly #memory: Uint8Array;
  readonly #input: number;
  readonly #output: number;

  /** `module` is the compiled `build/encode.wasm`. */
  constructor(module: WebAssembly.Module) {
    this.#wasm = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
    // The memory never grows, so that a view of it stays valid.
    this.#memory = new Uint8Array(this.#wasm.memory.buffer);
    this.#input = this.#wasm.inputAt();
    this.#output = this.#wasm.outputAt();
  }

  /**
   * Memory of the encoder's own for a text of so many bytes: what is written there is copied no more.
   * It holds until the next call of `lend` or `write`. Undefined for more than `lentBytesMax`.
   */
  lend(bytes: number): Uint8Array | undefined {
    if (bytes > lentBytesMax) return undefined;
    return this.#memory.subarray(this.#output, this.#output + bytes);
  }

  /**
   * Writes the text of `bytes` into `target` from `at` on and returns where it ends. `target` must
   * have `base64Length(bytes.length)` bytes left: without them it throws, and writes nothing.
   */
  write(bytes: Uint8Array, target: Uint8Array, at: number): number {
    if (at + base64Length(bytes.length) > target.length) {
      throw new Error(`Bug: no room for the base64 of ${bytes.length} bytes`);
    }
    const isOwn = target.buffer === this.#memory.buffer;
    for (let from = 0; from < bytes.length; from += base64WindowBytes) {
      const window = bytes.subarray(from, from + base64WindowBytes);
      this.#memory.set(window, this.#input);
      const length = this.#wasm.encode(window.length, isOwn ? at : 0);
      if (!isOwn) target.set(this.#memory.subarray(this.#output, this.#output + length), at);
      at += length;
    }
    return at;
  }
}

/** Letters of the base64 of so many bytes. */
export function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}
