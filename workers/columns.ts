/**
 * The archiver's one set of columns, lent to one flush at a time: so memory is bounded by one
 * flush however many partitions there are. WebAssembly memory never shrinks, so the columns of
 * another signal are made anew and the old ones left to the garbage collector.
 */
import { ItemColumns } from '../aggregator-as/host.ts';
import type { TranscoderOptions } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import type { ColumnsLender } from './context.ts';

export class SharedColumns implements ColumnsLender {
  readonly #module: WebAssembly.Module;
  readonly #options: TranscoderOptions;
  #made: { readonly signal: Signal; readonly columns: ItemColumns } | undefined;
  /** Settled when the last one in the queue is done; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(module: WebAssembly.Module, options: TranscoderOptions = {}) {
    this.#module = module;
    this.#options = options;
  }

  /** Runs `task` with empty columns once all who asked before are done. Throws what it throws. */
  use<T>(signal: Signal, task: (columns: ItemColumns) => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => this.#lend(signal, task));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #lend<T>(signal: Signal, task: (columns: ItemColumns) => Promise<T>): Promise<T> {
    const columns = this.#columnsFor(signal);
    try {
      return await task(columns);
    } finally {
      columns.reset();
    }
  }

  #columnsFor(signal: Signal): ItemColumns {
    if (this.#made?.signal === signal) return this.#made.columns;
    // Forgotten first, so that both are never held at once.
    this.#made = undefined;
    const columns = new ItemColumns(this.#module, signal, this.#options);
    this.#made = { signal, columns };
    return columns;
  }
}
