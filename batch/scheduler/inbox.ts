/** Ticks that others have stored for the scheduler, such as the Worker's cron triggers. Reads no content. */
import { ticksWaitingMax } from '../../schemas/limits/batch.ts';
import { parseTickKey, ticksPrefix, type Tick } from '../../schemas/tick.ts';
import type { CallOptions, ObjectStore } from '../../workers/clients/store/objects.ts';

/** The ticks that wait, those of a kind oldest first. Keys that are none of ours are left alone. */
export async function listTicks(store: ObjectStore, options: CallOptions = {}): Promise<Tick[]> {
  const ticks: Tick[] = [];
  for await (const page of store.list(ticksPrefix, options)) {
    ticks.push(...page.flatMap(({ key }) => parseTickKey(key) ?? []));
    if (ticks.length >= ticksWaitingMax) break;
  }
  return ticks;
}
