/** Cuts rows of one row group into requests: of one tenant each, bounded in items and in bytes. */
import type { Signal } from '../../schemas/archive.ts';
import { replayRequestBytesMax } from '../../schemas/limits/replay.ts';
import type { RowColumns } from '../clients/parquet/rows.ts';
import { Rebuilder } from '../rebuild.ts';

/** One request: what it holds, and its bytes once they are wanted. */
export interface Batch {
  readonly tenantId: string;
  readonly items: number;
  /** Rows up to and with those of this batch, in the order of `Batches.all`. */
  readonly end: number;
  request(): Uint8Array;
  /** The same items in two batches; `undefined` for a single one. */
  halves(): readonly [Batch, Batch] | undefined;
}

export class Batches {
  readonly #rebuilder: Rebuilder;
  readonly #rows: Uint32Array;
  readonly #tenantOf: (row: number) => string;

  /** `rows` are those to send; the same rows always come in the same order. */
  constructor(signal: Signal, columns: RowColumns, rows: Uint32Array) {
    this.#rebuilder = new Rebuilder(signal, columns);
    this.#rows = this.#rebuilder.grouped(rows);
    const tenants = columns.names('TenantId');
    this.#tenantOf = (row) => tenants.text(row);
  }

  /** Batches of all rows behind the first `from`, in order. */
  *all(from: number, itemsMax: number): Generator<Batch, void, undefined> {
    let start = from;
    while (start < this.#rows.length) {
      const tenant = this.#tenantOf(this.#rows[start] ?? 0);
      let end = start + 1;
      while (end < this.#rows.length && end - start < itemsMax) {
        if (this.#tenantOf(this.#rows[end] ?? 0) !== tenant) break;
        end += 1;
      }
      yield* this.#fitting(this.#batch(start, end, tenant));
      start = end;
    }
  }

  /** The batch, in halves of halves until each is small enough. */
  *#fitting(batch: Batch): Generator<Batch, void, undefined> {
    const request = batch.request();
    const halves = request.length > replayRequestBytesMax ? batch.halves() : undefined;
    if (!halves) {
      yield { ...batch, request: () => request };
      return;
    }
    for (const half of halves) yield* this.#fitting(half);
  }

  #batch(start: number, end: number, tenantId: string): Batch {
    const middle = (start + end) >> 1;
    return {
      tenantId,
      items: end - start,
      end,
      request: () => this.#rebuilder.request(this.#rows.subarray(start, end)),
      halves: () =>
        end - start > 1
          ? [this.#batch(start, middle, tenantId), this.#batch(middle, end, tenantId)]
          : undefined,
    };
  }
}
