/**
 * Makes one Parquet file of batches of rows as they come. Holds the encoded file and the row group
 * under way, never all rows.
 */
import { Table, transformParquetStream } from 'parquet-wasm/node';
import type { Signal } from '../../schemas/archive.ts';
import type { CommitRowGroup } from '../../schemas/commit.ts';
import { mergeTenantsMax, rowGroupRows } from '../../schemas/limits/archive.ts';
import { toStream, type ArrowRows } from './arrow.ts';
import { columnOf } from './keys.ts';
import { writerProperties } from './layout.ts';
import { tenantNames } from './tenants.ts';

export interface MergedFile {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly timeMinNs: bigint;
  readonly timeMaxNs: bigint;
  readonly rowGroups: CommitRowGroup[];
  /** Sorted; `undefined` when they are too many. */
  readonly tenants: string[] | undefined;
}

const idBytes = 16;

/** What messages call the rows. */
const source = 'the merged rows';

/** The column of the time that an item's hour is of. */
const timeColumns = { traces: 'Timestamp', metrics: 'TimeUnix', logs: 'Timestamp' } as const;

export class FileWriter {
  readonly #signal: Signal;
  readonly #parts: Uint8Array[] = [];
  readonly #rowGroups: CommitRowGroup[] = [];
  readonly #tenants = new Set<string>();
  #partsBytes = 0;
  #rows = 0;
  #timeMinNs: bigint | undefined;
  #timeMaxNs: bigint | undefined;
  #wanted = Promise.withResolvers<ReadableStreamDefaultController<unknown>>();
  readonly #written: Promise<void>;

  /** `version` is that of the columns, for the file's metadata. */
  constructor(signal: Signal, version: string) {
    this.#signal = signal;
    const batches = new ReadableStream<unknown>(
      { pull: (controller) => this.#wanted.resolve(controller) },
      { highWaterMark: 0 },
    );
    this.#written = this.#collect(
      transformParquetStream(batches, writerProperties(signal, version)),
    );
    // Awaited with every batch and in the end.
    this.#written.catch(() => undefined);
  }

  /** Bytes of the file so far; those of the row group under way are not among them. */
  get bytes(): number {
    return this.#partsBytes;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds rows that come after all before them. Keeps nothing of them but the encoded form. */
  async add(rows: ArrowRows): Promise<void> {
    this.#describe(rows);
    const table = Table.fromIPCStream(toStream(rows));
    const batches = table.recordBatches();
    table.free();
    for (const batch of batches) (await this.#next()).enqueue(batch);
  }

  /** The file. Nothing may be added afterwards; there must be at least one row. */
  async finish(): Promise<MergedFile> {
    (await this.#next()).close();
    await this.#written;
    if (this.#timeMinNs === undefined || this.#timeMaxNs === undefined) {
      throw new Error('Bug: a file of no rows');
    }
    const tooMany = this.#tenants.size > mergeTenantsMax;
    return {
      bytes: Buffer.concat(this.#parts),
      rows: this.#rows,
      timeMinNs: this.#timeMinNs,
      timeMaxNs: this.#timeMaxNs,
      rowGroups: this.#rowGroups,
      tenants: tooMany ? undefined : [...this.#tenants].toSorted(),
    };
  }

  /** Ends the encoder without a file. */
  async abandon(): Promise<void> {
    try {
      (await this.#next()).close();
      await this.#written;
    } catch {
      // It had ended by itself, for the reason that led here.
    }
  }

  /** Waits until the encoder asks for more. */
  async #next(): Promise<ReadableStreamDefaultController<unknown>> {
    const ended = this.#written.then(() => {
      throw new Error('Bug: the Parquet writer ended by itself');
    });
    const controller = await Promise.race([this.#wanted.promise, ended]);
    this.#wanted = Promise.withResolvers();
    return controller;
  }

  async #collect(starting: Promise<ReadableStream>): Promise<void> {
    const stream: ReadableStream<Uint8Array> = await starting;
    for await (const part of stream) {
      this.#parts.push(part);
      this.#partsBytes += part.byteLength;
    }
  }

  #describe(rows: ArrowRows): void {
    const ids = rows.columns[0]?.data ?? new Uint8Array();
    const hexAt = (row: number) =>
      Buffer.from(ids.subarray(row * idBytes, (row + 1) * idBytes)).toString('hex');
    for (let row = 0; row < rows.rows;) {
      const group = this.#rowGroups.at(-1);
      const room = group && group.rows < rowGroupRows ? rowGroupRows - group.rows : 0;
      const end = Math.min(rows.rows, row + (room || rowGroupRows));
      const grown = room > 0 ? group : undefined;
      if (grown) this.#rowGroups.pop();
      this.#rowGroups.push({
        rows: (grown?.rows ?? 0) + end - row,
        idMin: grown?.idMin ?? hexAt(row),
        idMax: hexAt(end - 1),
      });
      row = end;
    }
    this.#rows += rows.rows;
    this.#noteTimes(rows);
    this.#noteTenants(rows);
  }

  #noteTimes(rows: ArrowRows): void {
    const { data } = columnOf(rows, timeColumns[this.#signal], source);
    const times = new BigInt64Array(data.buffer, data.byteOffset, rows.rows);
    let min = times[0] ?? 0n;
    let max = min;
    for (const time of times) {
      if (time < min) min = time;
      else if (time > max) max = time;
    }
    this.#timeMinNs =
      this.#timeMinNs === undefined || min < this.#timeMinNs ? min : this.#timeMinNs;
    this.#timeMaxNs =
      this.#timeMaxNs === undefined || max > this.#timeMaxNs ? max : this.#timeMaxNs;
  }

  #noteTenants(rows: ArrowRows): void {
    // A merged dictionary holds the values that the rows have and no others.
    for (const name of tenantNames(rows, source)) {
      if (this.#tenants.size <= mergeTenantsMax) this.#tenants.add(name);
    }
  }
}
