/**
 * Reads how far the archive is, and what lies aside: partitions, spools, dead letters and periods.
 * Costs a bounded number of listings beside what the wanted periods hold. Never writes.
 */
import * as archive from '../../../schemas/archive.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { objectGetsMax } from '../../../schemas/limits.ts';
import { statusPagesMax } from '../../../schemas/limits/archive.ts';
import { listPartitions, listPeriodFiles, readPartition } from './archive.ts';
import type { PartitionState, PeriodFile } from './archive.ts';
import type { ObjectStore } from '../store/objects.ts';
import { mapParallel } from '../parallel.ts';

/** What waits in a spool. `more` is true when it holds more than was counted. */
export interface SpoolState {
  readonly topic: string;
  readonly objects: number;
  readonly bytes: number;
  /** Receive time of the oldest object, ms since 1970; `undefined` when empty. */
  readonly oldestMs: number | undefined;
  readonly more: boolean;
}

/** A partition whose log does not say how far it is, and why. */
export interface UnreadablePartition {
  readonly topic: string;
  readonly partition: string;
  readonly fault: string;
}

export interface ArchiveStatus {
  readonly partitions: readonly PartitionState[];
  /** Those whose newest commit or watermark is damaged; the others are read all the same. */
  readonly unreadable: readonly UnreadablePartition[];
  readonly spools: readonly SpoolState[];
}

/** The state of every partition and spool. Throws OBJECT_STORE. */
export async function archiveStatus(store: ObjectStore): Promise<ArchiveStatus> {
  const states: (PartitionState | UnreadablePartition)[] = [];
  const spools: SpoolState[] = [];
  for (const topic of Object.values(archive.topics)) {
    const names = await listPartitions(store, topic);
    const read = (partition: string) => partitionOrFault(store, topic, partition);
    states.push(...(await mapParallel(names, objectGetsMax, read)));
    spools.push(await spoolState(store, topic));
  }
  const partitions = states.flatMap((state) => ('fault' in state ? [] : [state]));
  const unreadable = states.flatMap((state) => ('fault' in state ? [state] : []));
  return { partitions, unreadable, spools };
}

async function partitionOrFault(
  store: ObjectStore,
  topic: string,
  partition: string,
): Promise<PartitionState | UnreadablePartition> {
  try {
    return await readPartition(store, topic, partition);
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'CORRUPT_ARCHIVE') throw error;
    return { topic, partition, fault: error.message };
  }
}

async function spoolState(store: ObjectStore, topic: string): Promise<SpoolState> {
  let [objects, bytes] = [0, 0];
  let oldestMs: number | undefined;
  const more = await eachPage(store, archive.archiveSpoolPrefix(topic), (page) => {
    objects += page.length;
    for (const entry of page) {
      bytes += entry.bytes;
      oldestMs ??= archive.parseSpoolKey(entry.key)?.receivedMs;
    }
  });
  return { topic, objects, bytes, oldestMs, more };
}

/** Requests, or rows for ClickHouse, that were set aside because nothing could take them. */
export interface DeadState {
  /** What lies there: a topic's requests, or `speed`: rows that ClickHouse refused. */
  readonly name: string;
  /** Where they lie. */
  readonly prefix: string;
  readonly objects: number;
  readonly more: boolean;
}

/** Counts what was set aside, each place up to a bounded number of listings. Throws OBJECT_STORE. */
export function countDead(store: ObjectStore): Promise<DeadState[]> {
  const places = [
    ...Object.values(archive.topics).map((name) => ({ name, prefix: archive.deadPrefix(name) })),
    { name: 'speed', prefix: archive.deadPrefix('speed') },
  ];
  return mapParallel(places, objectGetsMax, async ({ name, prefix }) => {
    let objects = 0;
    const more = await eachPage(store, prefix, (page) => {
      // Beside each lies its reason.
      objects += page.filter(({ key }) => !key.endsWith('.json')).length;
    });
    return { name, prefix, objects, more };
  });
}

/** Shows `use` at most `statusPagesMax` pages; says whether there are more. */
async function eachPage(
  store: ObjectStore,
  prefix: string,
  use: (page: readonly { readonly key: string; readonly bytes: number }[]) => void,
): Promise<boolean> {
  let pages = 0;
  for await (const page of store.list(prefix)) {
    if (pages === statusPagesMax) return true;
    pages += 1;
    use(page);
  }
  return false;
}

/** What the archive holds of one signal in one period of event time. */
export interface PeriodState {
  readonly signal: archive.Signal;
  /** Start and end, ms since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
  /** Of `rows`, those whose own time was too wild: they lie under the hour of their receipt. */
  readonly quarantinedRows: number;
}

/** The periods of a range, empty ones too, and the partitions that vouch for them. */
export interface PeriodRange {
  readonly periods: readonly PeriodState[];
  readonly partitions: readonly PartitionState[];
}

/**
 * What the archive holds between two UTC hours, by periods of `periodMs` from `fromMs` on. Costs what
 * `listPeriodFiles` costs for the whole range, and throws what it throws.
 */
export async function readPeriods(
  store: ObjectStore,
  signal: archive.Signal,
  range: { readonly fromMs: number; readonly toMs: number; readonly periodMs: number },
): Promise<PeriodRange> {
  const { fromMs, toMs, periodMs } = range;
  const { files, partitions } = await listPeriodFiles(store, signal, fromMs, toMs);
  const filesOf = Map.groupBy(files, ({ hourMs }) => Math.floor((hourMs - fromMs) / periodMs));
  const count = Math.ceil((toMs - fromMs) / periodMs);
  const periods = Array.from({ length: count }, (_, index) => {
    const startMs = fromMs + index * periodMs;
    const own = filesOf.get(index) ?? [];
    const sums = { files: own.length, rows: sumOf(own, 'rows'), bytes: sumOf(own, 'bytes') };
    const quarantined = own.filter((file) => file.quarantined);
    const more = { quarantinedRows: sumOf(quarantined, 'rows') };
    return { signal, fromMs: startMs, toMs: Math.min(toMs, startMs + periodMs), ...sums, ...more };
  });
  return { periods, partitions };
}

function sumOf(files: readonly PeriodFile[], field: 'rows' | 'bytes'): number {
  return files.reduce((sum, file) => sum + file[field], 0);
}
