/**
 * Writes what a sink did not take to the spool in R2. It retries nothing: when R2 fails too, the
 * client has to send the batch again.
 */
import { TidemarkError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import type { Gate } from './gate.ts';
import type { InsertTools } from './insert.ts';
import type { Meter } from './meter.ts';

/** The part of an R2 bucket that the edge writes to. */
export interface SpoolBucket {
  put(key: string, value: Uint8Array): Promise<unknown>;
}

export interface SpoolTools extends Pick<InsertTools, 'timeout'> {
  readonly bucket: SpoolBucket;
  readonly meter: Meter;
  readonly warn: (message: string) => void;
}

/**
 * Returns when R2 has `bytes` under `key`. `sink` is its name in the metrics. Throws SINK_FAILED,
 * retryable, when R2 fails or takes longer than a sink may.
 */
export async function spool(
  sink: 'archive' | 'speed_spool',
  key: string,
  bytes: () => Uint8Array,
  gate: Gate,
  settings: Pick<Settings, 'TIDEMARK_SINK_TIMEOUT_MS'>,
  tools: SpoolTools,
): Promise<void> {
  try {
    await gate(() => {
      const late = tools.timeout(settings.TIDEMARK_SINK_TIMEOUT_MS);
      return unlessAborted(tools.bucket.put(key, bytes()), late);
    });
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
