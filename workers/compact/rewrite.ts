/**
 * Merges files of one hour into new ones and stores these. Decides neither which files nor whether
 * the new ones count: nothing reads them before a replacement names them.
 */
import { outputKey, replacementKey, type ReplacementOutput } from '../../schemas/replacement.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { ObjectStore } from '../clients/store/objects.ts';
import { readRange } from '../clients/parquet/range.ts';
import { FileWriter } from './file.ts';
import { Merge } from './merge.ts';
import { FileReader, type InputFile } from './read.ts';
import type { RewriteTask, Rewritten } from './task.ts';
import { countTenants, keepTenants } from './tenants.ts';

export interface RewriteContext {
  readonly store: ObjectStore;
  /** Hears of each key before a file is stored under it. */
  readonly onStoring: (key: string) => void;
}

/**
 * Stores the rows of the task's runs as new files, in order, as far as memory has room for the runs.
 * Throws OBJECT_STORE, and CORRUPT_ARCHIVE for files that cannot be read; what was stored by then
 * can be deleted.
 */
export async function rewriteFiles(task: RewriteTask, context: RewriteContext): Promise<Rewritten> {
  const { signal, runs, memoryBytes, fileBytes, filter } = task;
  const keep = filter && keepTenants(filter);
  const read = readRange(context.store, {}, replaced);
  const merge = await Merge.open(runs, { signal, read, memoryBytes, keep });
  const outputs: ReplacementOutput[] = [];
  const { taken } = merge;
  let writer: FileWriter | undefined;
  try {
    for await (const rows of merge.batches()) {
      writer ??= new FileWriter(signal, merge.version);
      await writer.add(rows);
      if (writer.bytes < fileBytes) continue;
      const output = await storeFile(task, writer, outputs.length, context);
      writer = undefined;
      if (!output) return { taken, outputs, overtaken: true };
      outputs.push(output);
    }
    const last = writer;
    writer = undefined;
    const output = last && (await storeFile(task, last, outputs.length, context));
    if (last && !output) return { taken, outputs, overtaken: true };
    return { taken, outputs: output ? [...outputs, output] : outputs, overtaken: false };
  } finally {
    merge.close();
    await writer?.abandon();
  }
}

/** Stores a file; `undefined` when its number has been taken by then. */
async function storeFile(
  task: RewriteTask,
  writer: FileWriter,
  index: number,
  { store, onStoring }: RewriteContext,
): Promise<ReplacementOutput | undefined> {
  const { signal, hourMs, sequence, quarantined } = task;
  const file = await writer.finish();
  const attempt = `${task.attempt}-${index}`;
  const key = outputKey(signal, hourMs, { sequence, attempt });
  const taken = await store.head(replacementKey(signal, hourMs, sequence));
  if (taken !== undefined) return undefined;
  onStoring(key);
  await store.put(key, file.bytes);
  return {
    key,
    bytes: file.bytes.byteLength,
    rows: file.rows,
    hourMs,
    timeMinNs: String(file.timeMinNs),
    timeMaxNs: String(file.timeMaxNs),
    quarantined,
    rowGroups: file.rowGroups,
    ...(file.tenants && { tenants: file.tenants }),
  };
}

/** How many rows a file has of each tenant; reads that one column. Throws as `rewriteFiles` does. */
export async function tenantsOf(store: ObjectStore, file: InputFile): Promise<Map<string, number>> {
  const reader = new FileReader(readRange(store, {}, replaced), file, ['TenantId']);
  const counts = new Map<string, number>();
  try {
    for (let rows = await reader.next(); rows; rows = await reader.next()) {
      for (const [tenant, count] of countTenants(rows, file.key)) {
        counts.set(tenant, (counts.get(tenant) ?? 0) + count);
      }
    }
  } finally {
    reader.close();
  }
  return counts;
}

/** A file that is gone by now: the next try finds what is in its place. */
function replaced(key: string): TidemarkError {
  const message = `Cannot read "${key}": it has been deleted; another replacement may have`;
  return new TidemarkError('OBJECT_STORE', message, { retryable: true });
}
