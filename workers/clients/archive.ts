/**
 * Reads the archive through its commit log: heads, watermarks and the files of a period. What no
 * commit names does not exist here. Never writes.
 */
import { createHash } from 'node:crypto';
import * as archive from '../../schemas/archive.ts';
import * as commits from '../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../schemas/commit.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { objectGetsMax } from '../../schemas/limits.ts';
import { statusPagesMax } from '../../schemas/limits/archive.ts';
import type { CallOptions, ObjectStore } from './objects.ts';
import { mapParallel } from './parallel.ts';

/** A file that a commit names, with the partition that it came from. */
export interface PeriodFile extends CommitFile {
  readonly topic: string;
  readonly partition: string;
}

/** How far one partition is archived. */
export interface PartitionState {
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** Offset of the next record that will be committed, decimal. */
  readonly nextOffset: string;
  /** Every record received before this time (ms since 1970) is committed; 0 when nothing is known. */
  readonly watermarkMs: number;
  /** The newest commit; `undefined` for a partition that has only watermarks. */
  readonly head: Commit | undefined;
}

export interface PeriodFiles {
  /** In key order: by event hour, then topic, partition and offset. */
  readonly files: readonly PeriodFile[];
  /** Commits that name at least one of the files, in key order. */
  readonly commitKeys: readonly string[];
  /** SHA-256 (hex) over the keys of those commits and files: equal exactly for equal input. */
  readonly inputHash: string;
  /** Every partition of the signal's topic, whether it has files in the period or not. */
  readonly partitions: readonly PartitionState[];
  /** The least watermark of `partitions`; 0 when there is none. */
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
  return {
    topic,
    partition,
    nextOffset: head?.nextOffset ?? '0',
    watermarkMs: Math.max(head?.watermarkMs ?? 0, idleMs ?? 0),
    head,
  };
}

/** Names of a topic's partitions that have a commit or a watermark, sorted. Two listings. */
export async function listPartitions(store: ObjectStore, topic: string): Promise<string[]> {
  const prefixes = [`_commits/${topic}/`, `_watermarks/${topic}/`];
  const folders = await Promise.all(prefixes.map((prefix) => store.listFolders(prefix)));
  const names = folders.flat().map((folder) => folder.split('/').at(-2) ?? '');
  return [...new Set(names)].toSorted();
}

/**
 * The committed files whose event hour lies in [fromHourMs, toHourMs), both starts of UTC hours.
 * Lists the period's keys once (a request per thousand), reads each commit that those keys name
 * once, and takes the files from the commits: files of an attempt that was killed are not seen.
 * Watermarks are read first, so all that they vouch for is in the answer.
 */
export async function listPeriodFiles(
  store: ObjectStore,
  signal: archive.Signal,
  fromHourMs: number,
  toHourMs: number,
): Promise<PeriodFiles> {
  const topic = archive.topics[signal];
  const names = await listPartitions(store, topic);
  const partitions = await mapParallel(names, objectGetsMax, (partition) =>
    readPartition(store, topic, partition),
  );
  const wanted = await namedCommits(store, signal, fromHourMs, toHourMs);
  const found = await mapParallel(wanted, objectGetsMax, async (key) => {
    const commit = await readCommit(store, key);
    return { key, files: commit ? filesOfPeriod(commit, fromHourMs, toHourMs) : [] };
  });
  const used = found.filter(({ files }) => files.length > 0);
  const commitKeys = used.map(({ key }) => key);
  const files = used.flatMap((commit) => commit.files).toSorted((a, b) => order(a.key, b.key));
  const keys = [...commitKeys, ...files.map(({ key }) => key)];
  return {
    files,
    commitKeys,
    inputHash: createHash('sha256').update(keys.join('\n')).digest('hex'),
    partitions,
    watermarkMs: leastWatermark(partitions),
  };
}

function leastWatermark(partitions: readonly PartitionState[]): number {
  if (partitions.length === 0) return 0;
  return Math.min(...partitions.map((state) => state.watermarkMs));
}

/** Keys of the commits that the names of the period's files point to, sorted, each once. */
async function namedCommits(
  store: ObjectStore,
  signal: archive.Signal,
  fromHourMs: number,
  toHourMs: number,
): Promise<string[]> {
  const startAfter = archive.hourPrefix(signal, fromHourMs);
  const end = archive.hourPrefix(signal, toHourMs);
  const wanted = new Set<string>();
  // Hive paths of zero-padded dates sort by time, so a period of any length is one key range.
  for await (const page of store.list(`signal=${signal}/`, { startAfter })) {
    for (const { key } of page.filter((entry) => entry.key < end)) {
      const parts = archive.parseFileKey(key);
      if (parts) wanted.add(commits.commitKey(parts.topic, parts.partition, parts.firstOffset));
    }
    if ((page.at(-1)?.key ?? end) >= end) break;
  }
  return [...wanted].toSorted();
}

function filesOfPeriod(commit: Commit, fromHourMs: number, toHourMs: number): PeriodFile[] {
  const { topic, partition } = commit;
  return commit.files
    .filter(({ hourMs }) => hourMs >= fromHourMs && hourMs < toHourMs)
    .map((file) => ({ ...file, topic, partition }));
}

/** What waits in a spool. `more` is true when it holds more than was counted. */
export interface SpoolState {
  readonly topic: string;
  readonly objects: number;
  readonly bytes: number;
  /** Receive time of the oldest object, ms since 1970; `undefined` when empty. */
  readonly oldestMs: number | undefined;
  readonly more: boolean;
}

export interface ArchiveStatus {
  readonly partitions: readonly PartitionState[];
  readonly spools: readonly SpoolState[];
}

/** The state of every partition and spool, for `tidemark status`. */
export async function archiveStatus(store: ObjectStore): Promise<ArchiveStatus> {
  const partitions: PartitionState[] = [];
  const spools: SpoolState[] = [];
  for (const topic of Object.values(archive.topics)) {
    const names = await listPartitions(store, topic);
    const states = await mapParallel(names, objectGetsMax, (partition) =>
      readPartition(store, topic, partition),
    );
    partitions.push(...states);
    spools.push(await spoolState(store, topic));
  }
  return { partitions, spools };
}

async function spoolState(store: ObjectStore, topic: string): Promise<SpoolState> {
  const prefix = archive.archiveSpoolPrefix(topic);
  let [objects, bytes, pages] = [0, 0, 0];
  let oldestMs: number | undefined;
  for await (const page of store.list(prefix)) {
    if (pages === statusPagesMax) return { topic, objects, bytes, oldestMs, more: true };
    pages += 1;
    objects += page.length;
    for (const entry of page) {
      bytes += entry.bytes;
      oldestMs ??= archive.parseSpoolKey(entry.key)?.receivedMs;
    }
  }
  return { topic, objects, bytes, oldestMs, more: false };
}

async function firstKey(
  store: ObjectStore,
  prefix: string,
  options: CallOptions,
): Promise<string | undefined> {
  for await (const page of store.list(prefix, { ...options, maxKeys: 1 })) return page[0]?.key;
  return undefined;
}

/** Order of keys as the store sorts them. */
function order(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
