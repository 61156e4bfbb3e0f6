/**
 * Reads a shard's rows out of Parquet files: only the columns and row groups that it needs, by
 * range requests. Rows outside the shard's range never leave here.
 */
import { ParquetFile, wasmMemory, type RecordBatch } from 'parquet-wasm/node';
import { columnsSince } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { rowGroupsInFlight } from '../../schemas/limits/batch.ts';
import type { ShardFile, ShardRange } from '../../schemas/shard.ts';
import { ArrowBatch } from './arrow.ts';
import { IdCut } from './cut.ts';
import { RemoteFile, type ReadRange } from '../../workers/clients/parquet/remote.ts';
import type { RowSlice } from '../work.ts';

/** Which columns to read. */
export interface ReadColumns {
  /** The ids that the rows of a file ascend by, 16 bytes each. */
  readonly id: string;
  readonly others: readonly string[];
}

export interface ReadReport {
  readonly rows: number;
  /** Rows that were decoded, those of other shards in shared row groups included. */
  readonly rowsDecoded: number;
}

/** Hears of each file before its first byte is decoded. */
export type OnFile = (key: string) => void;

/**
 * Hands every row of the shard to `onRows`, a row group at a time, in the order of the plan. A damaged
 * file can stop the whole thread: it is then the last one that `onFile` named.
 *
 * Throws what `read` throws, and `TidemarkError` CORRUPT_ARCHIVE for a file that is not ours.
 */
export async function readShard(
  read: ReadRange,
  shard: ShardRange,
  { id, others }: ReadColumns,
  onRows: (rows: RowSlice) => void,
  onFile?: OnFile,
): Promise<ReadReport> {
  const cut = new IdCut(id, shard);
  let rows = 0;
  let rowsDecoded = 0;
  await eachBatch(read, shard.files, { columns: [id, ...others], onFile }, (arrow, hourMs) => {
    const { from, to } = cut.rows(arrow);
    rows += to - from;
    rowsDecoded += arrow.rows;
    if (from < to) onRows({ arrow, from, to, hourMs });
  });
  return { rows, rowsDecoded };
}

/**
 * Hands the ids of the shard's rows, 16 bytes each, to `onIds`, a row group at a time and sorted
 * within it; reads no other column. Valid only during the call. Throws as `readShard` does.
 */
export async function readIds(
  read: ReadRange,
  shard: ShardRange,
  id: string,
  onIds: (ids: Uint8Array) => void,
  onFile?: OnFile,
): Promise<void> {
  const cut = new IdCut(id, shard);
  await eachBatch(read, shard.files, { columns: [id], onFile }, (arrow) => onIds(cut.ids(arrow)));
}

/** Rows of a row group, which are to be looked at once: that frees them. */
export interface ReadBatch {
  readonly rows: number;
  use<T>(look: (arrow: ArrowBatch) => T): T;
}

/** The rows of one row group, in their order. Throws as `readShard` does. */
export async function readRowGroup(
  read: ReadRange,
  file: ShardFile,
  rowGroup: number,
  columns: readonly string[],
): Promise<ReadBatch[]> {
  const opened = new OpenedFile(read, { ...file, rowGroups: [rowGroup] }, undefined);
  const { key, batches } = await opened.readRowGroup(rowGroup, columns);
  return batches.map((batch) => ({
    rows: batch.numRows,
    use: (look) => withBatch(key, batch, look),
  }));
}

interface BatchOptions {
  readonly columns: readonly string[];
  readonly onFile: OnFile | undefined;
}

async function eachBatch(
  read: ReadRange,
  files: readonly ShardFile[],
  { columns, onFile }: BatchOptions,
  use: (arrow: ArrowBatch, hourMs: number) => void,
): Promise<void> {
  const waiting: Promise<RowGroup>[] = [];
  const consume = async () => {
    const group = await waiting.shift();
    if (group === undefined) return;
    const { key, hourMs, batches } = group;
    for (const batch of batches) withBatch(key, batch, (arrow) => use(arrow, hourMs));
  };
  for (const file of files) {
    const opened = new OpenedFile(read, file, onFile);
    for (const rowGroup of file.rowGroups) {
      if (waiting.length >= rowGroupsInFlight) await consume();
      const reading = opened.readRowGroup(rowGroup, columns);
      // It is awaited in its turn; an earlier one may fail first.
      reading.catch(() => undefined);
      waiting.push(reading);
    }
  }
  while (waiting.length > 0) await consume();
}

interface RowGroup {
  readonly key: string;
  readonly hourMs: number;
  readonly batches: readonly RecordBatch[];
}

/** A Parquet file that is opened by the first row group read and freed after the last. */
class OpenedFile {
  readonly #remote: RemoteFile;
  #file: Promise<ParquetFile> | undefined;
  readonly #onFile: OnFile | undefined;
  readonly #hourMs: number;
  #unread: number;

  constructor(read: ReadRange, file: ShardFile, onFile: OnFile | undefined) {
    this.#remote = new RemoteFile(read, file.key, file.bytes);
    this.#onFile = onFile;
    this.#hourMs = file.hourMs;
    this.#unread = file.rowGroups.length;
  }

  async readRowGroup(rowGroup: number, columns: readonly string[]): Promise<RowGroup> {
    const { key } = this.#remote;
    const file = await (this.#file ??= this.#open());
    const present = columnsOf(file, columns);
    const options = { columns: present, rowGroups: [rowGroup], batchSize: rowGroupRows };
    const table = await this.#orFault(file.read(options));
    const batches = table.recordBatches();
    table.free();
    this.#unread -= 1;
    if (this.#unread === 0) file.free();
    return { key, hourMs: this.#hourMs, batches };
  }

  #open(): Promise<ParquetFile> {
    this.#onFile?.(this.#remote.key);
    // parquet-wasm asks of a Blob no more than `size` and `slice`.
    return this.#orFault(ParquetFile.fromFile(this.#remote as unknown as Blob));
  }

  async #orFault<T>(reading: Promise<T>): Promise<T> {
    try {
      return await Promise.race([reading, this.#remote.fault]);
    } catch (cause) {
      if (cause instanceof TidemarkError) throw cause;
      throw corrupt(this.#remote.key, cause);
    }
  }
}

/** The columns, or what those can be made of that a file of an earlier version has not. */
function columnsOf(file: ParquetFile, columns: readonly string[]): string[] {
  if (!columns.some((name) => columnsSince[name] !== undefined)) return [...columns];
  const version = versionOf(file);
  const present = columns.map((name) => {
    const since = columnsSince[name];
    return since !== undefined && version < since.version ? since.madeOf : name;
  });
  return [...new Set(present)];
}

/** The version of a file's columns; of one that does not say it, the newest. */
function versionOf(file: ParquetFile): number {
  const metadata = file.metadata();
  const own = metadata.fileMetadata();
  const version: unknown = own.keyValueMetadata().get('tidemark.schema');
  own.free();
  metadata.free();
  return typeof version === 'string' ? Number(version) : Infinity;
}

function withBatch<T>(key: string, batch: RecordBatch, use: (arrow: ArrowBatch) => T): T {
  const exported = batch.intoFFI();
  try {
    const memory = wasmMemory();
    return use(new ArrowBatch(memory, exported.arrayAddr(), exported.schemaAddr()));
  } catch (cause) {
    if (cause instanceof TidemarkError && cause.code !== 'CORRUPT_ARCHIVE') throw cause;
    throw corrupt(key, cause);
  } finally {
    exported.free();
  }
}

function corrupt(key: string, cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": ${reason}`, { cause });
}
