/**
 * Reads the archive through its commit log: heads, watermarks and the files of a period. What no
 * commit names does not exist here. Never writes.
 */
import { createHash } from 'node:crypto';
import * as archive from '../../../schemas/archive.ts';
import * as commits from '../../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../../schemas/commit.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { objectGetsMax } from '../../../schemas/limits.ts';
import type { Replacement } from '../../../schemas/replacement.ts';
import { firstKey } from '../store/first.ts';
import type { CallOptions, ObjectStore } from '../store/objects.ts';
import { mapParallel } from '../parallel.ts';
import { listReplacements, traceLineage } from './replacement.ts';
import { leastWatermark } from './watermark.ts';
import type { Watermark } from './watermark.ts';

/** A file that counts: one that a commit names, or that took the place of such files. */
export interface PeriodFile extends CommitFile {
  readonly topic: string;
  /** Partitions whose commits its rows came with, sorted; a file of a commit has one. */
  readonly partitions: readonly string[];
  /** Tenants of its rows, sorted, where that is known. */
  readonly tenants?: readonly string[] | undefined;
}

/** How far one partition is archived. */
export interface PartitionState extends Watermark {
  /** Offset of the next record that will be committed, decimal. */
  readonly nextOffset: string;
  /** The newest commit; `undefined` for a partition that has only watermarks. */
  readonly head: Commit | undefined;
}

/** The files of a period that count, and what they come from. */
export interface LiveFiles {
  /** In key order: by event hour, then topic, partition and offset; outputs after these. */
  readonly files: readonly PeriodFile[];
  /** Commits that named a file of the period, replaced ones included, in key order. */
  readonly commitKeys: readonly string[];
  /**
   * SHA-256 (hex) over the keys of those commits and of the files that they named: equal exactly
   * for equal input. Compaction does not change it, nor does retention; see `rowsRemoved`.
   */
  readonly inputHash: string;
  /** Rows that retention took from the period; the input is not whole any more unless 0. */
  readonly rowsRemoved: number;
  /** Replacements of the period's hours, by hour and number. */
  readonly replacements: readonly Replacement[];
}

export interface PeriodFiles extends LiveFiles {
  /** Every partition of the signal's topic, whether it has files in the period or not. */
  readonly partitions: readonly PartitionState[];
  /** The least watermark of `partitions` but for silent ones (`watermark.ts`); 0 without any. */
  readonly watermarkMs: number;
}

/**
 * The newest commit of a partition, `undefined` before the first: one listing of one key and one
 * read, however long the log. Throws CORRUPT_ARCHIVE for a commit that cannot be read.
 */
export async function readHead(
  store: ObjectStore,
  topic: string,
  partition: string,
  options: CallOptions = {},
): Promise<Commit | undefined> {
  const key = await firstKey(store, commits.commitPrefix(topic, partition), options);
  if (key === undefined) return undefined;
  const commit = await readCommit(store, key, options);
  if (commit) return commit;
  throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read commit "${key}": it has been deleted`);
}

/** The greatest watermark stored beside the log, ms since 1970, if any. One listing of one key. */
export async function readIdleWatermark(
  store: ObjectStore,
  topic: string,
  partition: string,
  options: CallOptions = {},
): Promise<number | undefined> {
  const key = await firstKey(store, commits.watermarkPrefix(topic, partition), options);
  return key === undefined ? undefined : commits.parseWatermarkKey(key);
}

/** Reads one commit, `undefined` when it does not exist. Throws CORRUPT_ARCHIVE. */
export async function readCommit(
  store: ObjectStore,
  key: string,
  options: CallOptions = {},
): Promise<Commit | undefined> {
  const bytes = await store.get(key, options);
  return bytes && commits.parseCommit(key, new TextDecoder().decode(bytes));
}

/** How far a partition is archived: two listings of one key and at most one read. */
export async function readPartition(
  store: ObjectStore,
  topic: string,
  partition: string,
): Promise<PartitionState> {
  const idleMs = await readIdleWatermark(store, topic, partition);
  const head = await readHead(store, topic, partition);
  const committedMs = head ? Date.parse(head.committedAt) : 0;
  if (idleMs === 0 && !head) return readRegistered(store, topic, partition);
  return {
    topic,
    partition,
    nextOffset: head?.nextOffset ?? '0',
    watermarkMs: Math.max(head?.watermarkMs ?? 0, idleMs ?? 0),
    seenMs: Math.max(committedMs, idleMs ?? 0),
    head,
  };
}

/** A partition that was only registered; one that moved on in the meantime is read once more. */
async function readRegistered(
  store: ObjectStore,
  topic: string,
  partition: string,
): Promise<PartitionState> {
  const bytes = await store.get(commits.watermarkKey(topic, partition, 0));
  if (bytes === undefined) return readPartition(store, topic, partition);
  const seenMs = commits.parseRegistration(new TextDecoder().decode(bytes));
  return { topic, partition, nextOffset: '0', watermarkMs: 0, seenMs, head: undefined };
}

/** Names of a topic's partitions that have a commit or a watermark, sorted. Two listings. */
export async function listPartitions(store: ObjectStore, topic: string): Promise<string[]> {
  const prefixes = [`_commits/${topic}/`, `_watermarks/${topic}/`];
  const folders = await Promise.all(prefixes.map((prefix) => store.listFolders(prefix)));
  const names = folders.flat().map((folder) => folder.split('/').at(-2) ?? '');
  return [...new Set(names)].toSorted();
}

/** How far each partition of a signal is archived. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
export async function readPartitions(
  store: ObjectStore,
  signal: archive.Signal,
): Promise<PartitionState[]> {
  const topic = archive.topics[signal];
  const names = await listPartitions(store, topic);
  return mapParallel(names, objectGetsMax, (partition) => readPartition(store, topic, partition));
}

/**
 * The files of a period as `listLiveFiles` gives them, and how far each partition is archived.
 * Watermarks are read first, so all that they vouch for is in the answer.
 */
export async function listPeriodFiles(
  store: ObjectStore,
  signal: archive.Signal,
  fromHourMs: number,
  toHourMs: number,
): Promise<PeriodFiles> {
  const partitions = await readPartitions(store, signal);
  const live = await listLiveFiles(store, signal, fromHourMs, toHourMs);
  return { ...live, partitions, watermarkMs: leastWatermark(partitions) };
}

/**
 * The files that count and whose event hour lies in [fromHourMs, toHourMs), both starts of UTC hours.
 * Lists the period's keys once (a request per thousand), then its replacements, and reads each
 * commit that keys of unreplaced files name once: files of an attempt that was killed are not seen.
 * Replacements come after the keys, so each is seen whole: what it replaced does not count, and its
 * outputs do. Throws OBJECT_STORE, and CORRUPT_ARCHIVE for a commit or replacement that cannot be read.
 */
export async function listLiveFiles(
  store: ObjectStore,
  signal: archive.Signal,
  fromHourMs: number,
  toHourMs: number,
): Promise<LiveFiles> {
  const topic = archive.topics[signal];
  const listed = await listFileKeys(store, signal, fromHourMs, toHourMs);
  const replacements = await listReplacements(store, signal, fromHourMs, toHourMs);
  const { replaced, outputs, originKeys, rowsRemoved } = traceLineage(replacements);
  const unreplaced = listed.filter((key) => !replaced.has(key));
  const found = await mapParallel(commitKeysOf(unreplaced), objectGetsMax, async (key) => {
    const commit = await readCommit(store, key);
    return commit ? filesOfPeriod(commit, fromHourMs, toHourMs) : [];
  });
  const committed = found.flat().filter(({ key }) => !replaced.has(key));
  const files = [...committed, ...outputs.map((output) => ({ ...output, topic }))];
  return {
    files: files.toSorted((a, b) => order(a.key, b.key)),
    ...identityOf([...originKeys, ...committed.map(({ key }) => key)]),
    rowsRemoved,
    replacements,
  };
}

/** What the input is: which commits there were and which files they named. */
function identityOf(fileKeys: readonly string[]) {
  const commitKeys = commitKeysOf(fileKeys);
  const keys = [...commitKeys, ...fileKeys.toSorted(order)];
  return { commitKeys, inputHash: createHash('sha256').update(keys.join('\n')).digest('hex') };
}

/** Keys of all that lies in the period's folders. */
async function listFileKeys(
  store: ObjectStore,
  signal: archive.Signal,
  fromHourMs: number,
  toHourMs: number,
): Promise<string[]> {
  const startAfter = archive.hourPrefix(signal, fromHourMs);
  const end = archive.hourPrefix(signal, toHourMs);
  const keys: string[] = [];
  // Hive paths of zero-padded dates sort by time, so a period of any length is one key range.
  for await (const page of store.list(`signal=${signal}/`, { startAfter })) {
    keys.push(...page.map((entry) => entry.key).filter((key) => key < end));
    if ((page.at(-1)?.key ?? end) >= end) break;
  }
  return keys;
}

/** Keys of the commits that the names of files point to, sorted, each once. */
function commitKeysOf(fileKeys: readonly string[]): string[] {
  const wanted = new Set<string>();
  for (const key of fileKeys) {
    const parts = archive.parseFileKey(key);
    if (parts) wanted.add(commits.commitKey(parts.topic, parts.partition, parts.firstOffset));
  }
  return [...wanted].toSorted();
}

function filesOfPeriod(commit: Commit, fromHourMs: number, toHourMs: number): PeriodFile[] {
  const { topic, partition } = commit;
  return commit.files
    .filter(({ hourMs }) => hourMs >= fromHourMs && hourMs < toHourMs)
    .map((file) => ({ ...file, topic, partitions: [partition] }));
}

/** Order of keys as the store sorts them. */
function order(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
