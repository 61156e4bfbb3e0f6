/**
 * Reads a shard's rows out of Parquet files: only the columns and row groups that it needs, by
 * range requests, as columns for the kernel. Rows outside the shard's range never leave here.
 */
import { ParquetFile, wasmMemory, type RecordBatch } from 'parquet-wasm/node';
import type { ShardColumns } from '../aggregator-as/kernel.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { rowGroupRows, rowGroupsInFlight } from '../schemas/limits.ts';
import type { Shard, ShardFile } from '../schemas/shard.ts';
import { ArrowBatch } from './arrow.ts';
import { ColumnMap, type ShardNames } from './columns.ts';
import { RemoteFile, type ReadRange } from './remote.ts';

/** The columns of an archive file that the batch needs. */
export const batchColumns = [
  'TraceId',
  'SpanId',
  'SpanName',
  'SpanKind',
  'ServiceName',
  'Duration',
  'StatusCode',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];

export interface ReadReport {
  readonly rows: number;
  /** Rows that were decoded, those of other shards in shared row groups included. */
  readonly rowsDecoded: number;
}

/**
 * Hands every row of the shard to `onColumns`, a row group at a time, in the order of the plan. The
 * arrays are valid only during the call. `onFile` hears of each file before its first byte is decoded: a
 * damaged file can stop the whole thread, and then it is the last one named.
 *
 * Throws what `read` throws, and `TidemarkError` CORRUPT_ARCHIVE for a file that is not ours.
 */
export async function readShard(
  read: ReadRange,
  shard: Pick<Shard, 'files' | 'traceIdFrom' | 'traceIdTo'>,
  names: ShardNames,
  onColumns: (columns: ShardColumns) => void,
  onFile: (key: string) => void = () => undefined,
): Promise<ReadReport> {
  const remap = new ColumnMap(shard, names);
  const waiting: Promise<RowGroup>[] = [];
  const tasks = shard.files.flatMap((file) => {
    const opened = new OpenedFile(read, file);
    return file.rowGroups.map((rowGroup) => ({ opened, rowGroup }));
  });
  let rows = 0;
  let rowsDecoded = 0;
  const consume = async () => {
    const group = await waiting.shift();
    if (group === undefined) return;
    for (const batch of group.batches) {
      rowsDecoded += batch.numRows;
      rows += withBatch(group.key, batch, (arrow) => remap.forward(arrow, onColumns));
    }
  };
  for (const { opened, rowGroup } of tasks) {
    if (waiting.length >= rowGroupsInFlight) await consume();
    const reading = opened.readRowGroup(rowGroup, onFile);
    // It is awaited in its turn; an earlier one may fail first.
    reading.catch(() => undefined);
    waiting.push(reading);
  }
  while (waiting.length > 0) await consume();
  return { rows, rowsDecoded };
}

interface RowGroup {
  readonly key: string;
  readonly batches: readonly RecordBatch[];
}

/** A Parquet file that is opened by the first row group read and freed after the last. */
class OpenedFile {
  readonly #remote: RemoteFile;
  #file: Promise<ParquetFile> | undefined;
  #unread: number;

  constructor(read: ReadRange, file: ShardFile) {
    this.#remote = new RemoteFile(read, file.key, file.bytes);
    this.#unread = file.rowGroups.length;
  }

  async readRowGroup(rowGroup: number, onFile: (key: string) => void): Promise<RowGroup> {
    const { key } = this.#remote;
    const file = await (this.#file ??= this.#open(onFile));
    const options = { columns: batchColumns, rowGroups: [rowGroup], batchSize: rowGroupRows };
    const table = await this.#orFault(file.read(options));
    const batches = table.recordBatches();
    table.free();
    this.#unread -= 1;
    if (this.#unread === 0) file.free();
    return { key, batches };
  }

  #open(onFile: (key: string) => void): Promise<ParquetFile> {
    onFile(this.#remote.key);
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
