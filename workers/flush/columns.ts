/**
 * One set of columns, lent to one flush at a time, whatever its signal: so memory is bounded by one
 * flush however many partitions there are, and is not new to each, which would cost more than decoding.
 */
import { ItemColumns } from '../../aggregator-as/host.ts';
import type { TranscoderOptions } from '../../aggregator-as/host.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { EncoderLender } from '../context.ts';
import { LocalEncoder } from './encode.ts';
import type { FlushEncoder } from './encode.ts';

export interface ColumnsOptions extends TranscoderOptions {
  /** Milliseconds, to tell where time goes. @default always 0 */
  readonly ticks?: () => number;
}

/** Encodes flushes in the thread that it is in: see `threads.ts` for the other way. */
export class SharedColumns implements EncoderLender {
  readonly #module: WebAssembly.Module;
  readonly #options: ColumnsOptions;
  #columns: ItemColumns | undefined;
  /** Settled when the last one in the queue is done; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(module: WebAssembly.Module, options: ColumnsOptions = {}) {
    this.#module = module;
    this.#options = options;
  }

  /** Runs `task` with an empty flush once all who asked before are done. Throws what it throws. */
  use<T>(signal: Signal, task: (encoder: FlushEncoder) => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => this.#lend(signal, task));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #lend<T>(signal: Signal, task: (encoder: FlushEncoder) => Promise<T>): Promise<T> {
    const columns = this.columnsOf(signal);
    try {
      return await task(new LocalEncoder(columns, this.#options.ticks ?? (() => 0)));
    } finally {
      columns.reset();
    }
  }

  /** The columns themselves, empty, for whoever does not share them. */
  columnsOf(signal: Signal): ItemColumns {
    this.#columns ??= new ItemColumns(this.#module, signal, this.#options);
    this.#columns.reset(signal);
    return this.#columns;
  }
}
