/** A reader of the archive, as the batch is one: what it must see, whatever happens meanwhile. */
import { listPeriodFiles } from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import type { Judge } from './judge.ts';
import { decodeFile } from './recording.ts';
import { Violation } from './world.ts';

/**
 * Reads all files of the period and holds them against the truth: no item twice, none that is not
 * committed, all that was committed when it began, and all that the watermark of its answer
 * promises. One that takes longer than the grace time may find that a file is gone, and nothing else
 * is to be expected of it. Throws OBJECT_STORE when the store does not answer.
 */
export async function readAll(
  store: ObjectStore,
  judge: Judge,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<void> {
  const beganMs = judge.now();
  const before = new Set(judge.items());
  const period = await listPeriodFiles(store, 'traces', fromMs, toMs);
  const seen = new Set<string>();
  for (const { key } of period.files) {
    const bytes = await store.get(key);
    if (!bytes && judge.mayBeGone(key, beganMs)) return;
    if (!bytes) throw new Violation(`a reader finds no ${key}`);
    for (const [, , index, id] of decodeFile(bytes)) {
      const item = `${id}#${index}`;
      if (seen.has(item)) throw new Violation(`a reader sees ${item} twice`);
      if (!judge.items().has(item)) throw new Violation(`a reader sees ${item} uncommitted`);
      seen.add(item);
    }
  }
  for (const item of before) {
    if (!seen.has(item)) throw new Violation(`a reader does not see ${item}, committed before`);
  }
  const places = new Set(period.partitions.map(({ partition }) => partition));
  for (const request of judge.produced) {
    if (!places.has(request.place) || request.isGone) continue;
    if (request.receivedMs >= period.watermarkMs) continue;
    const missing = request.hours.findIndex((_, index) => !seen.has(`${request.id}#${index}`));
    if (missing !== -1) throw new Violation(`a reader lacks promised request ${request.id}`);
  }
}
