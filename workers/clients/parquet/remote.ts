/**
 * An object of the store that a Parquet reader takes for a Blob: its slices are range requests.
 * Neighbouring slices asked for in one turn become one request; the footer comes with the first.
 * It never asks for a byte twice.
 */
import { TidemarkError } from '../../../schemas/errors.ts';
import { footerBytesGuess, rangeGapBytesMax } from '../../../schemas/limits/batch.ts';

/**
 * Reads the bytes [start, end) of an object, which are the caller's: to `into`, if that is given and has room
 * for them.
 */
export type ReadRange = (
  key: string,
  start: number,
  end: number,
  into?: Uint8Array,
) => Promise<Uint8Array>;

interface Slice {
  readonly start: number;
  readonly end: number;
  readonly resolve: (bytes: ArrayBuffer) => void;
}

export class RemoteFile {
  readonly key: string;
  readonly size: number;
  /** Rejects when a range could not be read; the Parquet reader then waits for ever, see slice(). */
  readonly fault: Promise<never>;
  readonly #read: ReadRange;
  readonly #fail: (cause: unknown) => void;
  #tail: Promise<Uint8Array> | undefined;
  #waiting: Slice[] = [];

  constructor(read: ReadRange, key: string, size: number) {
    const { promise, reject } = Promise.withResolvers<never>();
    // A fault that nobody waits for any more is no unhandled rejection.
    promise.catch(() => undefined);
    this.key = key;
    this.size = size;
    this.fault = promise;
    this.#read = read;
    this.#fail = reject;
  }

  /**
   * The part of Blob that parquet-wasm uses. A rejected arrayBuffer() traps that module for good,
   * so on a fault the promise stays pending and `fault` rejects instead.
   */
  slice(start: number, end: number): { arrayBuffer: () => Promise<ArrayBuffer> } {
    return {
      arrayBuffer: () =>
        new Promise((resolve) => {
          if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
          this.#waiting.push({ start, end, resolve });
        }),
    };
  }

  #flush(): void {
    const slices = this.#waiting.toSorted((a, b) => a.start - b.start);
    this.#waiting = [];
    const tailStart = Math.max(0, this.size - footerBytesGuess);
    let group: Slice[] = [];
    let groupEnd = 0;
    for (const slice of slices) {
      if (slice.start >= tailStart) {
        this.#answer([slice], tailStart, this.#readTail(tailStart));
        continue;
      }
      if (group.length > 0 && slice.start > groupEnd + rangeGapBytesMax) {
        this.#request(group, groupEnd);
        group = [];
      }
      groupEnd = group.length === 0 ? slice.end : Math.max(groupEnd, slice.end);
      group.push(slice);
    }
    if (group.length > 0) this.#request(group, groupEnd);
  }

  #readTail(start: number): Promise<Uint8Array> {
    this.#tail ??= this.#read(this.key, start, this.size);
    return this.#tail;
  }

  #request(slices: readonly Slice[], end: number): void {
    const start = slices[0]?.start ?? 0;
    this.#answer(slices, start, this.#read(this.key, start, end));
  }

  #answer(slices: readonly Slice[], start: number, reading: Promise<Uint8Array>): void {
    const answerAll = (bytes: Uint8Array) => {
      for (const slice of slices) slice.resolve(this.#copy(bytes, slice, start));
    };
    reading.then(answerAll).catch(this.#fail);
  }

  #copy(bytes: Uint8Array, slice: Slice, start: number): ArrayBuffer {
    if (slice.end - start > bytes.length) {
      throw new TidemarkError(
        'CORRUPT_ARCHIVE',
        `Cannot read "${this.key}": it has fewer bytes than its commit says`,
      );
    }
    const target = new ArrayBuffer(slice.end - slice.start);
    new Uint8Array(target).set(bytes.subarray(slice.start - start, slice.end - start));
    return target;
  }
}
