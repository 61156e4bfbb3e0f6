/**
 * Stores ticks of the batch's schedule in R2 when a cron trigger of one of its lines fires: the scheduler takes
 * them from there. It computes nothing, and never stores one tick twice.
 */
import { tickTriesMax } from '../schemas/limits.ts';
import type { PeriodKind } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import { tickKey, tickOf } from '../schemas/tick.ts';

/** The part of an R2 bucket that ticks are stored in. */
export interface TickBucket {
  /** Resolves to null, and stores nothing, when the condition is not met. */
  put(
    key: string,
    value: Uint8Array,
    options: { readonly onlyIf: { readonly etagDoesNotMatch: string } },
  ): Promise<unknown>;
}

export type TickSettings = Pick<Settings, 'TIDEMARK_BATCH_CRON' | 'TIDEMARK_BATCH_HOUR_CRON'>;

/** What a trigger's cron line asks the batch for; nothing when the line is none of the batch's. */
export function kindsOf(cron: string, settings: TickSettings): PeriodKind[] {
  const line = cron.trim();
  if (line === '') return [];
  const lines = {
    day: settings.TIDEMARK_BATCH_CRON.trim(),
    hour: settings.TIDEMARK_BATCH_HOUR_CRON.trim(),
  };
  return (['day', 'hour'] as const).filter((kind) => lines[kind] === line);
}

/**
 * Stores the tick of a time (ms since 1970), unless it is there. Cloudflare does not repeat a trigger
 * whose handler fails, so R2 is tried again here. Throws what R2 throws at the last try.
 */
export async function storeTick(bucket: TickBucket, kind: PeriodKind, ms: number): Promise<void> {
  const tick = tickOf(kind, ms);
  const text = JSON.stringify({ version: 1, kind, at: new Date(tick.atMs).toISOString() });
  const body = new TextEncoder().encode(text);
  for (let tries = 1; ; tries += 1) {
    try {
      await bucket.put(tickKey(tick), body, { onlyIf: { etagDoesNotMatch: '*' } });
      return;
    } catch (error) {
      if (tries >= tickTriesMax) throw error;
    }
  }
}
