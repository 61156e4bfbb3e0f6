/** Shards of small days for tests of the fleet, requests to compute them, and what became of them. */
import { createHash } from 'node:crypto';
import { listInput } from '../../batch/plan/input.ts';
import { loadKernel } from '../../batch/shard/kernel.ts';
import { planShards } from '../../batch/plan/plan.ts';
import { localRunner, type ShardRequest } from '../../batch/pool/runner.ts';
import { parsePeriod } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';
import { partialPrefix, type Shard, type ShardReport } from '../../schemas/shard.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { archiveSpans, type ArchivedFile } from './day.ts';
import { randomSpans } from './spans.ts';

export interface SmallDay {
  readonly date: string;
  readonly files: readonly ArchivedFile[];
  readonly shards: readonly Shard[];
}

/** Archives random spans of that day in small row groups, and plans it into about so many shards. */
export async function smallDay(
  store: ObjectStore,
  given: {
    readonly date: string;
    readonly random: () => number;
    readonly spans: number;
    readonly shards: number;
    readonly offset?: bigint;
  },
): Promise<SmallDay> {
  const { date, random, spans, shards: count, offset = 0n } = given;
  const rows = randomSpans(random, spans, { hourMs: Date.parse(`${date}T07:00:00Z`) });
  const rowGroupRows = Math.ceil(spans / 20);
  const files = await archiveSpans(store, rows, { firstOffset: offset, rowGroupRows });
  const input = await listInput(store, 'traces', parsePeriod(date));
  const rowsMax = Math.ceil(spans / count);
  const shards = planShards(input.files, { rowsMax, shardsWanted: 1, rowsMin: 1 });
  return { date, files, shards };
}

/** A request to compute that day under that name; what it hears of retries goes to `retries`. */
export async function requestOf(
  { date, shards }: SmallDay,
  name: string,
  retries: string[] = [],
): Promise<ShardRequest> {
  const { module, codeVersion } = await loadKernel('aggregate');
  const period = parsePeriod(date);
  return {
    computation: { name, period, of: 'traces', codeVersion, shards, rows: 0 },
    shards,
    kernel: module,
    onDone: () => undefined,
    onRetry: (shard, reason) => retries.push(`${shard.index}: ${reason}`),
  };
}

/** What the local pool makes of the day: hashes of its partials, by key below their prefix. */
export async function localPartials(
  store: ObjectStore,
  settings: Settings,
  day: SmallDay,
  name: string,
): Promise<ReadonlyMap<string, string>> {
  const run = localRunner({ ...settings, TIDEMARK_BATCH_THREADS: 1 }, () => 0.5);
  return hashesOf(store, name, await run(await requestOf(day, name)));
}

/** Hashes of the partials that the reports name, by key below their prefix. */
export async function hashesOf(
  store: ObjectStore,
  name: string,
  reports: readonly ShardReport[],
): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for (const { key, bytes } of reports) {
    const body = (await store.get(key)) ?? new Uint8Array();
    if (body.length !== bytes) throw new Error(`${key} has ${body.length} bytes, not ${bytes}`);
    const hash = createHash('sha256').update(body).digest('hex');
    hashes.set(key.slice(partialPrefix(name).length), hash);
  }
  return hashes;
}

/** Keys below a prefix. */
export async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list(prefix)) keys.push(...page.map(({ key }) => key));
  return keys;
}
