/**
 * The commit protocol of one partition (DESIGN.md, decision 4): files first, then the commit by a
 * conditional write, then the deletes. Whoever's commit is stored under the key of the next offset
 * has won; everyone else starts again. Never reads the spool and never overwrites anything.
 *
 * An idle partition has no records to commit, and a commit of none would take the key of the next
 * one. Its watermark is therefore told by an object of its own (`watermarkKey`), which states a
 * fact about the past: any writer may store it at any time, the greatest one holds, and lesser
 * ones are deleted.
 */
import { deadPrefix, fileKey } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { commitKey, watermarkKey, watermarkPrefix } from '../../schemas/commit.ts';
import type { Commit, CommitFile, CommitRowGroup } from '../../schemas/commit.ts';
import type { TidemarkError } from '../../schemas/errors.ts';
import { objectGetsMax } from '../../schemas/limits.ts';
import { archivePutsMax } from '../../schemas/limits/archive.ts';
import { putOnce } from '../clients/commits/claim.ts';
import type { ClaimOutcome } from '../clients/commits/claim.ts';
import type { CallOptions, ObjectStore } from '../clients/store/objects.ts';
import { mapParallel } from '../clients/parallel.ts';

/** One try to commit, from the offset where the log ended when it began. */
export interface Attempt {
  readonly signal: Signal;
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  readonly firstOffset: bigint;
  /** Random, and so unique to the attempt: it is part of its files' keys. */
  readonly id: string;
}

/** An encoded file of one event hour, not yet stored. */
export interface PendingFile {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly hourMs: number;
  readonly quarantined: boolean;
  readonly timeMinNs: bigint;
  readonly timeMaxNs: bigint;
  readonly rowGroups: CommitRowGroup[];
}

/**
 * What a commit says of the file once it is stored. An hour may have a file of good rows and one
 * of quarantined rows: the latter's attempt id ends in `q`.
 */
function describeFile(attempt: Attempt, file: PendingFile): CommitFile {
  const { topic, partition, firstOffset } = attempt;
  const id = file.quarantined ? `${attempt.id}q` : attempt.id;
  return {
    key: fileKey(attempt.signal, file.hourMs, { topic, partition, firstOffset, attempt: id }),
    bytes: file.bytes.byteLength,
    rows: file.rows,
    hourMs: file.hourMs,
    timeMinNs: String(file.timeMinNs),
    timeMaxNs: String(file.timeMaxNs),
    quarantined: file.quarantined,
    rowGroups: file.rowGroups,
  };
}

/**
 * Stores files as they come, a few at once while the next is made, and adds what a commit says of them to `stored`; before
 * their first byte is sent, so that after an error it names all that may be in the store. Resolves
 * when all are made: whoever made them is needed no more. The function that it gives waits until all
 * are stored. Both throw OBJECT_STORE, the first what `files` throws; then nothing is on its way
 * into the store any more.
 */
export async function storeFiles(
  store: ObjectStore,
  attempt: Attempt,
  files: Iterable<PendingFile> | AsyncIterable<PendingFile>,
  stored: CommitFile[],
  options: CallOptions,
): Promise<() => Promise<void>> {
  const underWay = new Set<Promise<void>>();
  const faults: unknown[] = [];
  const put = async (key: string, bytes: Uint8Array): Promise<void> => {
    try {
      await store.put(key, bytes, options);
    } catch (error) {
      faults.push(error);
    }
  };
  const settled = async (): Promise<void> => {
    await Promise.all(underWay);
    if (faults.length > 0) throw faults[0];
  };
  try {
    for await (const file of files) {
      const description = describeFile(attempt, file);
      stored.push(description);
      const one = put(description.key, file.bytes).then(() => void underWay.delete(one));
      underWay.add(one);
      if (underWay.size >= archivePutsMax) await Promise.race(underWay);
      if (faults.length > 0) break;
    }
  } catch (error) {
    await Promise.all(underWay);
    throw error;
  }
  if (faults.length > 0) await settled();
  return settled;
}

/** A request to keep aside because it cannot be archived. */
export interface DeadLetter {
  /** Unique in the topic; what stands behind the last slash is the object's name. */
  readonly name: string;
  /** Where it came from: a spool key, or the coordinates of a Kafka record. */
  readonly origin: Readonly<Record<string, string | number>>;
  readonly request: Uint8Array;
  readonly error: TidemarkError;
}

/**
 * Keeps requests that cannot be archived, each with its origin and the reason beside it. Storing
 * one twice writes the same bytes under the same key. Throws OBJECT_STORE.
 */
export async function storeDead(
  store: ObjectStore,
  topic: string,
  letters: readonly DeadLetter[],
  options: CallOptions,
): Promise<void> {
  await mapParallel(letters, objectGetsMax, async ({ name, origin, request, error }) => {
    const key = `${deadPrefix(topic)}${name.split('/').at(-1) ?? ''}`;
    const { code, message } = error;
    const byteOffset = 'byteOffset' in error ? error.byteOffset : undefined;
    const reason = { ...origin, code, message, byteOffset, bytes: request.byteLength };
    await store.put(key, request, options);
    await store.put(`${key}.json`, JSON.stringify(reason), options);
  });
}

/**
 * Stores the commit if no other has its first offset. Any error that is thrown leaves open whether
 * the commit is in the log: its files must stay, and the log must be read again.
 */
export async function putCommit(
  store: ObjectStore,
  commit: Commit,
  options: CallOptions,
): Promise<ClaimOutcome> {
  const key = commitKey(commit.topic, commit.partition, BigInt(commit.firstOffset));
  return putOnce(store, key, JSON.stringify(commit), options);
}

/**
 * States that everything received before `watermarkMs` is committed, and deletes the lesser
 * statements. Three requests. Throws OBJECT_STORE.
 */
export async function putWatermark(
  store: ObjectStore,
  topic: string,
  partition: string,
  watermarkMs: number,
  options: CallOptions,
): Promise<void> {
  const body = JSON.stringify({ version: 1, topic, partition, watermarkMs });
  await store.put(watermarkKey(topic, partition, watermarkMs), body, options);
  for await (const page of store.list(watermarkPrefix(topic, partition), options)) {
    const lesser = page.slice(1).map(({ key }) => key);
    if (lesser.length > 0) await store.delete(lesser, options);
    return;
  }
}
