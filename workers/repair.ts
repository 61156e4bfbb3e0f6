/**
 * Makes rows of the speed tables out of archived items: each item is rebuilt as the OTLP request that
 * brought it, and goes through the edge's own transcoder, so that a row is what the edge would have
 * inserted. It only reads, and decides nothing about which items are wanted.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import { DecodeError, TidemarkError } from '../schemas/errors.ts';
import {
  repairInsertBytesMax,
  repairItemsPerRequest,
  repairRequestBytesMax,
} from '../schemas/limits/repair.ts';
import type { SpeedTable } from '../schemas/tables.ts';
import type { PeriodFile } from './clients/commits/archive.ts';
import type { CallOptions, ObjectStore } from './clients/store/objects.ts';
import { ArchiveFile } from './clients/parquet/parquet.ts';
import { readRange } from './clients/parquet/range.ts';
import type { RowColumns } from './clients/parquet/rows.ts';
import { Rebuilder } from './rebuild.ts';

/** Where an item lies in its file. */
export interface ItemPlace {
  /** Its value of the column that the file's rows ascend by, in hex. */
  readonly id: string;
  readonly partition: number;
  /** Decimal. */
  readonly offset: string;
  readonly itemIndex: number;
}

/** Rows for one table, in RowBinary. */
export interface RestoredRows {
  readonly table: SpeedTable;
  readonly rows: Uint8Array;
  readonly rowCount: number;
}

/** As wide as times go: the archiver has judged these items already. */
const anyTimeMs = 2 ** 52;

export interface RestorerOptions {
  readonly store: ObjectStore;
  readonly transcoder: WebAssembly.Module;
  readonly signal: Signal;
}

export class Restorer {
  readonly #store: ObjectStore;
  readonly #signal: Signal;
  readonly #transcoder: Transcoder;
  #held = new Map<SpeedTable, { parts: Uint8Array[]; bytes: number; rowCount: number }>();

  constructor({ store, transcoder, signal }: RestorerOptions) {
    this.#store = store;
    this.#signal = signal;
    this.#transcoder = new Transcoder(transcoder);
  }

  /**
   * The rows of the items at `places`, in parts of bounded size. Only row groups that hold one of them are
   * read. Throws OBJECT_STORE, and CORRUPT_ARCHIVE when an item is not where it is said to be.
   */
  async *rowsOf(
    file: Pick<PeriodFile, 'key' | 'bytes' | 'rowGroups'>,
    places: readonly ItemPlace[],
    options: CallOptions = {},
  ): AsyncGenerator<RestoredRows, void, undefined> {
    const wanted = new Set(places.map(nameOf));
    const ids = places.map(({ id }) => id).toSorted();
    const opened = await ArchiveFile.open(readRange(this.#store, options), file.key, file.bytes);
    let found = 0;
    try {
      for (const [index, { idMin, idMax }] of file.rowGroups.entries()) {
        options.signal?.throwIfAborted();
        const next = ids[firstFrom(ids, idMin)];
        if (next === undefined || next > idMax) continue;
        const [columns] = await opened.read([index]);
        const rows = columns ? rowsAt(columns, wanted) : [];
        if (!columns || rows.length === 0) continue;
        found += rows.length;
        for (const part of this.#transcode(columns, rows)) yield part;
      }
    } finally {
      opened.close();
    }
    if (found !== places.length) {
      const text = `Cannot restore items of "${file.key}": found ${found} of ${places.length}`;
      throw new TidemarkError('CORRUPT_ARCHIVE', text);
    }
    yield* this.#rest();
  }

  /** Rows of one row group, as far as a table has enough of them; the others are held. */
  *#transcode(columns: RowColumns, rows: readonly number[]): Generator<RestoredRows> {
    const rebuilder = new Rebuilder(this.#signal, columns);
    const received = columns.longs('IngestedAt').values;
    const tenants = columns.names('TenantId');
    const receipt = (row: number) => `${received[row]} ${tenants.text(row)}`;
    for (const together of Map.groupBy(rebuilder.grouped(rows), receipt).values()) {
      const first = together[0] ?? 0;
      const from = { tenantId: tenants.text(first), receivedMs: Number(received[first] ?? 0n) };
      for (let start = 0; start < together.length; start += repairItemsPerRequest) {
        const end = Math.min(together.length, start + repairItemsPerRequest);
        this.#add(rebuilder, Uint32Array.from(together.slice(start, end)), from);
        yield* this.#full();
      }
    }
  }

  /** Transcodes rows as one request, or as two of half of them while that is too large. */
  #add(
    rebuilder: Rebuilder,
    rows: Uint32Array,
    from: { readonly tenantId: string; readonly receivedMs: number },
  ): void {
    const request = rebuilder.request(rows);
    if (rows.length > 1 && request.length > repairRequestBytesMax) {
      const middle = rows.length >> 1;
      this.#add(rebuilder, rows.subarray(0, middle), from);
      this.#add(rebuilder, rows.subarray(middle), from);
      return;
    }
    const receipt = { ...from, pastMaxMs: anyTimeMs, futureMaxMs: anyTimeMs };
    const { tables } = this.#transcoder.toRowBinary(this.#signal, request, receipt);
    const made = tables.reduce((sum, { rowCount }) => sum + rowCount, 0);
    if (made !== rows.length) {
      throw new DecodeError(`Cannot restore ${rows.length} items: ${made} rows came of them`, 0);
    }
    for (const { table, rows: bytes, rowCount } of tables) {
      const held = this.#held.get(table) ?? { parts: [], bytes: 0, rowCount: 0 };
      held.parts.push(bytes.slice());
      held.bytes += bytes.length;
      held.rowCount += rowCount;
      this.#held.set(table, held);
    }
  }

  *#full(): Generator<RestoredRows> {
    for (const [table, { bytes }] of this.#held) {
      if (bytes >= repairInsertBytesMax) yield this.#take(table);
    }
  }

  *#rest(): Generator<RestoredRows> {
    for (const table of this.#held.keys()) yield this.#take(table);
  }

  #take(table: SpeedTable): RestoredRows {
    const { parts, rowCount } = this.#held.get(table) ?? { parts: [], rowCount: 0 };
    this.#held.delete(table);
    return { table, rows: Buffer.concat(parts), rowCount };
  }
}

function nameOf({ partition, offset, itemIndex }: Omit<ItemPlace, 'id'>): string {
  return `${partition} ${offset} ${itemIndex}`;
}

function rowsAt(columns: RowColumns, wanted: ReadonlySet<string>): number[] {
  const partitions = columns.int32('Partition').values;
  const offsets = columns.longs('Offset').values;
  const indexes = columns.uint32('ItemIndex').values;
  const rows: number[] = [];
  for (let row = 0; row < columns.rows; row += 1) {
    const name = `${partitions[row]} ${offsets[row]} ${indexes[row]}`;
    if (wanted.has(name)) rows.push(row);
  }
  return rows;
}

/** Index of the first id that is not below `least`. */
function firstFrom(ids: readonly string[], least: string): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? '') < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
