/**
 * Moves spooled rows to ClickHouse, oldest first. It stops at the first failure: the next tick is
 * the next try. An object is deleted only after its insert; two drains at once insert it twice at
 * worst, and then under the same deduplication token.
 */
import { parseSpoolKey, speedSpoolPrefix } from '../schemas/archive.ts';
import { drainObjectsAtOnce, drainObjectsPerTickMax } from '../schemas/limits.ts';
import { insertRows } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import type { Meter } from './meter.ts';

/** The part of an R2 bucket that the drain uses. */
export interface DrainBucket {
  list(options: { prefix: string; limit: number }): Promise<{ objects: { key: string }[] }>;
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  delete(keys: string[]): Promise<void>;
}

export interface DrainTools extends InsertTools {
  readonly bucket: DrainBucket;
  readonly meter: Meter;
  readonly warn: (message: string) => void;
}

/** Returns how many objects were moved. Throws what R2 throws when it cannot be listed. */
export async function drain(settings: InsertSettings, tools: DrainTools): Promise<number> {
  const prefix = speedSpoolPrefix('otel_traces');
  const { objects } = await tools.bucket.list({ prefix, limit: drainObjectsPerTickMax });
  const keys = objects.map(({ key }) => key).filter((key) => parseSpoolKey(key) !== undefined);
  let moved = 0;
  for (let from = 0; from < keys.length; from += drainObjectsAtOnce) {
    const wave = keys.slice(from, from + drainObjectsAtOnce);
    const results = await Promise.all(wave.map((key) => move(key, settings, tools)));
    const done = wave.filter((_key, index) => results[index] === true);
    if (done.length > 0) await tools.bucket.delete(done);
    moved += done.length;
    if (done.length < wave.length) break;
  }
  return moved;
}

/** Inserts one object's rows; false when that failed. An object that is gone needs nothing. */
async function move(key: string, settings: InsertSettings, tools: DrainTools): Promise<boolean> {
  try {
    const object = await tools.bucket.get(key);
    if (object !== null) {
      const rows = new Uint8Array(await object.arrayBuffer());
      await insertRows('otel_traces', rows, nameOf(key), settings, tools);
    }
    tools.meter.add('drain_objects_total', 1, 'result="ok"');
    return true;
  } catch (error) {
    tools.meter.add('drain_objects_total', 1, 'result="failed"');
    const text = error instanceof Error ? error.message : 'unknown';
    tools.warn(`Cannot drain "${key}": ${text}`);
    return false;
  }
}

/** The name without its prefix: the token that the edge gave the batch in its first try. */
function nameOf(key: string): string {
  return key.slice(speedSpoolPrefix('otel_traces').length);
}
