/**
 * Reads whole row groups of one archive file, in order, by range requests. Holds no more than the
 * row group that it was asked for.
 */
import { ParquetFile, wasmMemory } from 'parquet-wasm/node';
import type { CommitFile } from '../../schemas/commit.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { RemoteFile, type ReadRange } from '../clients/parquet/remote.ts';
import { copyBatch, type ArrowRows } from './arrow.ts';

/** What is read of an input: a file of a commit or of a replacement. */
export interface InputFile {
  readonly key: string;
  readonly bytes: number;
  /** Rows of each of its row groups. */
  readonly groupRows: readonly number[];
}

/** What is read of a file that counts. */
export function inputOf({ key, bytes, rowGroups }: CommitFile): InputFile {
  return { key, bytes, groupRows: rowGroups.map(({ rows }) => rows) };
}

/** Under this name a file's metadata has the version of its columns. */
const versionName = 'tidemark.schema';

export class FileReader {
  readonly #remote: RemoteFile;
  readonly #input: InputFile;
  #file: ParquetFile | undefined;
  readonly #columns: readonly string[] | undefined;
  #next = 0;

  /** Reads the columns named, or all. */
  constructor(read: ReadRange, input: InputFile, columns?: readonly string[]) {
    this.#remote = new RemoteFile(read, input.key, input.bytes);
    this.#input = input;
    this.#columns = columns;
  }

  /** The file's version of its columns. Throws as `next` does. */
  async version(): Promise<string> {
    const metadata = (await this.#open()).metadata();
    const own = metadata.fileMetadata();
    const version: unknown = own.keyValueMetadata().get(versionName);
    own.free();
    metadata.free();
    return typeof version === 'string' ? version : '';
  }

  /**
   * The next row group in memory of its own, `undefined` after the last. Throws what `read` throws, and
   * `TidemarkError` CORRUPT_ARCHIVE for a file that is not as its commit says.
   */
  async next(): Promise<ArrowRows | undefined> {
    const rows = this.#input.groupRows[this.#next];
    if (rows === undefined) {
      this.close();
      return undefined;
    }
    const file = await this.#open();
    const columns = this.#columns && { columns: [...this.#columns] };
    const options = { rowGroups: [this.#next], batchSize: rows, ...columns };
    const table = await this.#orFault(file.read(options));
    this.#next += 1;
    const [batch, ...more] = table.recordBatches();
    table.free();
    for (const extra of more) extra.free();
    if (batch?.numRows !== rows) {
      batch?.free();
      throw this.#corrupt(`a row group has not the ${rows} rows that its commit says`);
    }
    const exported = batch.intoFFI();
    try {
      return copyBatch(wasmMemory(), exported.arrayAddr(), exported.schemaAddr());
    } finally {
      exported.free();
    }
  }

  /** Frees what the reader holds; it is not used afterwards. */
  close(): void {
    this.#file?.free();
    this.#file = undefined;
  }

  async #open(): Promise<ParquetFile> {
    // parquet-wasm asks of a Blob no more than `size` and `slice`.
    const handle = this.#remote as unknown as Blob;
    this.#file ??= await this.#orFault(ParquetFile.fromFile(handle));
    return this.#file;
  }

  async #orFault<T>(reading: Promise<T>): Promise<T> {
    try {
      return await Promise.race([reading, this.#remote.fault]);
    } catch (cause) {
      if (cause instanceof TidemarkError) throw cause;
      throw this.#corrupt(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  #corrupt(reason: string, cause?: unknown): TidemarkError {
    const message = `Cannot read "${this.#input.key}": ${reason}`;
    return new TidemarkError('CORRUPT_ARCHIVE', message, { cause });
  }
}
