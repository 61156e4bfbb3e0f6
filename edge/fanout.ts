/**
 * Gives one batch to both layers at once: its OTLP bytes to the archive leg, its rows to
 * ClickHouse or else to the spool. It returns only when the edge's promise holds.
 */
import type { TableRows } from '../aggregator-as/host.ts';
import { archiveSpoolPrefix, speedSpoolPrefix, spoolName, topics } from '../schemas/archive.ts';
import type { Signal, SpoolKeyParts } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { insertRows } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import type { Meter } from './meter.ts';

/** The requests of one tenant in a batch, as the archive gets them. */
export interface ArchivePart {
  readonly parts: SpoolKeyParts;
  /** A request in protobuf, as received, or several, one after the other: protobuf merges them. */
  readonly otlp: Uint8Array;
}

/** A batch that was judged: at least one item of every part is valid. */
export interface Batch {
  readonly signal: Signal;
  /** One part when the batch is a single request. */
  readonly parts: readonly ArchivePart[];
  /** Rows of all parts; none when every valid item is quarantined. */
  readonly tables: readonly TableRows[];
}

/** The part of an R2 bucket that the edge writes to. */
export interface SpoolBucket {
  put(key: string, value: Uint8Array): Promise<unknown>;
}

export interface FanoutTools extends InsertTools {
  readonly bucket: SpoolBucket;
  readonly meter: Meter;
  readonly warn: (message: string) => void;
}

/**
 * Returns when the batch is in the archive's spool and in ClickHouse or the spool of rows. Throws
 * SINK_FAILED, retryable, when either is not so: the client has to send it again.
 */
export async function fanOut(
  batch: Batch,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  const legs = [
    ...batch.parts.map((part) => archive(batch.signal, part, settings, tools)),
    ...batch.tables.map((rows) => insert(rows, nameOf(batch), settings, tools)),
  ];
  const outcomes = await Promise.allSettled(legs);
  const archived = outcomes.slice(0, batch.parts.length);
  for (const outcome of archived) if (outcome.status === 'rejected') throw outcome.reason;
  // Rows are spooled only after the archive has the batch: else the client sends it again.
  const left = batch.tables.filter(
    (_, index) => outcomes[batch.parts.length + index]?.status === 'rejected',
  );
  await Promise.all(left.map((rows) => spoolRows(rows, nameOf(batch), settings, tools)));
}

/** The name of the batch among its kind: that of its first part. */
function nameOf({ parts: [first] }: Batch): string {
  if (first === undefined) throw new Error('Bug: a batch has no part');
  return spoolName(first.parts);
}

async function archive(
  signal: Signal,
  { parts, otlp }: ArchivePart,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  const key = `${archiveSpoolPrefix(topics[signal])}${spoolName(parts)}`;
  await put('archive', key, otlp, settings, tools);
}

async function insert(
  { table, rows }: TableRows,
  name: string,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  try {
    await insertRows(table, rows, name, settings, tools);
    tools.meter.add('sink_total', 1, 'sink="clickhouse",result="ok"');
  } catch (error) {
    tools.meter.add('sink_total', 1, 'sink="clickhouse",result="failed"');
    tools.warn(error instanceof Error ? error.message : 'ClickHouse failed');
    throw error;
  }
}

async function spoolRows(
  { table, rows }: TableRows,
  name: string,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  await put('speed_spool', `${speedSpoolPrefix(table)}${name}`, rows, settings, tools);
}

async function put(
  sink: 'archive' | 'speed_spool',
  key: string,
  bytes: Uint8Array,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  const late = tools.timeout(settings.TIDEMARK_SINK_TIMEOUT_MS);
  try {
    await unlessAborted(tools.bucket.put(key, bytes), late);
    tools.meter.add('sink_total', 1, `sink="${sink}",result="ok"`);
  } catch (cause) {
    tools.meter.add('sink_total', 1, `sink="${sink}",result="failed"`);
    const text = cause instanceof Error ? cause.message : 'unknown';
    tools.warn(`Cannot write to the ${sink} of R2: ${text}`);
    throw new TidemarkError('SINK_FAILED', 'Cannot store the batch now: send it again', {
      cause,
      retryable: true,
    });
  }
}

/** R2 takes no signal: a write that is late counts as failed, though it may succeed after all. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new TidemarkError('SINK_FAILED', 'Cannot wait longer for R2', { retryable: true }));
    });
  });
  return Promise.race([promise, aborted]);
}
