/**
 * Gives one batch to both layers at once: its OTLP bytes to the archive leg, its rows to
 * ClickHouse or else to the spool. It returns only when the edge's promise holds.
 */
import { archiveSpoolPrefix, speedSpoolPrefix, spoolName, topics } from '../schemas/archive.ts';
import type { SpoolKeyParts } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { insertTraces } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import type { Meter } from './meter.ts';

/** A batch that was judged: at least one of its spans is valid. */
export interface Batch {
  readonly parts: SpoolKeyParts;
  /** The request in protobuf, as received. */
  readonly otlp: Uint8Array;
  /** Rows of `otel_traces`; none when every valid span is quarantined. */
  readonly rows: Uint8Array;
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
  const name = spoolName(batch.parts);
  const archived = archive(batch, name, settings, tools);
  const [archiving, inserting] = await Promise.allSettled([
    archived,
    batch.rows.length > 0 ? insert(batch, name, settings, tools) : undefined,
  ]);
  if (archiving.status === 'rejected') throw archiving.reason;
  // Rows are spooled only after the archive has the batch: else the client sends it again.
  if (inserting.status === 'rejected') await spoolRows(batch, name, settings, tools);
}

async function archive(
  { otlp }: Batch,
  name: string,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  const key = `${archiveSpoolPrefix(topics.traces)}${name}`;
  await put('archive', key, otlp, settings, tools);
}

async function insert(
  { rows }: Batch,
  name: string,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  try {
    await insertTraces(rows, name, settings, tools);
    tools.meter.add('sink_total', 1, 'sink="clickhouse",result="ok"');
  } catch (error) {
    tools.meter.add('sink_total', 1, 'sink="clickhouse",result="failed"');
    tools.warn(error instanceof Error ? error.message : 'ClickHouse failed');
    throw error;
  }
}

async function spoolRows(
  { rows }: Batch,
  name: string,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<void> {
  await put('speed_spool', `${speedSpoolPrefix('otel_traces')}${name}`, rows, settings, tools);
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
