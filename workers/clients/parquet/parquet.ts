/**
 * Opens Parquet files of the archive and reads row groups of them whole, as columns in memory of
 * their own. It asks for no byte twice and never decides which row groups are wanted. A damaged file
 * can stop the whole thread, because the module that decodes it traps.
 */
import { RecordBatchReader } from 'apache-arrow';
import { ParquetFile } from 'parquet-wasm/node';
import type { Table } from 'parquet-wasm/node';
import { TidemarkError } from '../../../schemas/errors.ts';
import { rowGroupRows } from '../../../schemas/limits/archive.ts';
import { RemoteFile } from './remote.ts';
import type { ReadRange } from './remote.ts';
import { RowColumns } from './rows.ts';

export class ArchiveFile {
  readonly key: string;
  readonly #remote: RemoteFile;
  readonly #file: ParquetFile;

  private constructor(remote: RemoteFile, file: ParquetFile) {
    this.key = remote.key;
    this.#remote = remote;
    this.#file = file;
  }

  /**
   * Reads the footer of the object, which has `bytes` bytes: one request. Throws what `read` throws
   * and `TidemarkError` CORRUPT_ARCHIVE.
   */
  static async open(read: ReadRange, key: string, bytes: number): Promise<ArchiveFile> {
    const remote = new RemoteFile(read, key, bytes);
    // parquet-wasm asks of a Blob no more than `size` and `slice`.
    const opening = ParquetFile.fromFile(remote as unknown as Blob);
    return new ArchiveFile(remote, await orFault(remote, opening));
  }

  /**
   * The rows of these row groups, in their order, one element each; all columns, or those named.
   * One request where the row groups are neighbours and all columns are wanted. Throws as `open`
   * does.
   */
  async read(rowGroups: readonly number[], columns?: readonly string[]): Promise<RowColumns[]> {
    const options = { batchSize: rowGroupRows, ...(columns && { columns: [...columns] }) };
    const reading = rowGroups.map((index) => this.#file.read({ ...options, rowGroups: [index] }));
    const tables = await orFault(this.#remote, Promise.all(reading));
    return tables.map((table) => this.#columns(table));
  }

  /** Frees what is known of the file; it is not read afterwards. */
  close(): void {
    this.#file.free();
  }

  #columns(table: Table): RowColumns {
    // Takes the table: nothing of it is left to free.
    const reader = RecordBatchReader.from(table.intoIPCStream());
    const batches = [...reader];
    const [batch] = batches;
    if (batch && batches.length === 1) return new RowColumns(this.key, batch);
    throw corrupt(this.key, `a row group gave ${batches.length} batches`);
  }
}

async function orFault<T>(remote: RemoteFile, reading: Promise<T>): Promise<T> {
  try {
    return await Promise.race([reading, remote.fault]);
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    throw corrupt(remote.key, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function corrupt(key: string, reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": ${reason}`, { cause });
}
