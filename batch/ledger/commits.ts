/**
 * Copies what commits say of their records and files into ClickHouse, each commit once, so that the ledger can ask
 * for any day. Reads no data; what the edge counted is not known here.
 */
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { commitKey, commitPrefix, parseCommitKey } from '../../schemas/commit.ts';
import type { Commit } from '../../schemas/commit.ts';
import { objectGetsMax } from '../../schemas/limits.ts';
import { ledgerCommitsAtOnce } from '../../schemas/limits/batch.ts';
import { dateTime } from '../../schemas/period.ts';
import { listPartitions, readCommit } from '../../workers/clients/commits/archive.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';

export interface CommitsOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly of: Signal;
  /** Commits of which the last record was received before this are left where they are, ms since 1970. */
  readonly fromMs: number;
  /** Told how many commits were read so far. */
  readonly onProgress?: (commits: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Walks each partition's log back from its head to `fromMs`, and copies what ClickHouse does not have. Returns how
 * many commits were copied. Throws OBJECT_STORE, CORRUPT_ARCHIVE and `ClickHouseError`.
 */
export async function copyCommits(options: CommitsOptions): Promise<number> {
  const topic = topics[options.of];
  let copied = 0;
  for (const partition of await listPartitions(options.store, topic)) {
    const known = await knownCommits(options, partition);
    for await (const page of options.store.list(commitPrefix(topic, partition))) {
      options.signal?.throwIfAborted();
      const offsets = page.flatMap(({ key }) => parseCommitKey(key)?.firstOffset ?? []);
      const isEnd = await copyPage(options, partition, offsets, known, (commits) => {
        copied += commits;
        options.onProgress?.(copied);
      });
      if (isEnd) break;
    }
  }
  return copied;
}

/**
 * First offsets of the commits that ClickHouse has, and when their last records were received: of those of the
 * range, and of the last one before it.
 */
async function knownCommits(
  { clickhouse, of, fromMs }: CommitsOptions,
  partition: string,
): Promise<Map<string, number>> {
  const rows = await clickhouse.query<{ first: string; max_ms: string }>(
    `SELECT first_offset AS first, toUnixTimestamp64Milli(any(ingested_max_at)) AS max_ms
     FROM ledger_archived
     WHERE signal = {of:String} AND partition = {partition:String}
       AND (ingested_max_at >= toDateTime({from:String}, 'UTC') OR first_offset = (
         SELECT max(first_offset) FROM ledger_archived
         WHERE signal = {of:String} AND partition = {partition:String}
           AND ingested_max_at < toDateTime({from:String}, 'UTC')))
     GROUP BY first_offset`,
    { of, partition, from: dateTime(Math.max(0, fromMs)) },
  );
  return new Map(rows.map(({ first, max_ms: maxMs }) => [first, Number(maxMs)]));
}

/** Copies what is unknown of one page, newest first; true when the page reaches back far enough. */
async function copyPage(
  options: CommitsOptions,
  partition: string,
  offsets: readonly bigint[],
  known: ReadonlyMap<string, number>,
  onCopied: (commits: number) => void,
): Promise<boolean> {
  const { store, of, fromMs } = options;
  for (let at = 0; at < offsets.length; at += ledgerCommitsAtOnce) {
    options.signal?.throwIfAborted();
    const next = offsets.slice(at, at + ledgerCommitsAtOnce);
    const old = next.findIndex((offset) => (known.get(String(offset)) ?? fromMs) < fromMs);
    const some = old < 0 ? next : next.slice(0, old);
    const unknown = some.filter((offset) => !known.has(String(offset)));
    const found = await mapParallel(unknown, objectGetsMax, (offset) =>
      readCommit(store, commitKeyOf(of, partition, offset), { signal: options.signal }),
    );
    const commits = found.filter((commit) => commit !== undefined);
    await storeCommits(options, commits);
    onCopied(commits.length);
    if (old >= 0 || commits.some(({ ingestedMaxMs }) => ingestedMaxMs < fromMs)) return true;
  }
  return false;
}

async function storeCommits(
  { clickhouse, of }: CommitsOptions,
  commits: readonly Commit[],
): Promise<void> {
  const files = commits.flatMap((commit) =>
    commit.files.map(({ key, hourMs, rows }) => ({
      signal: of,
      ingested_max_at: new Date(commit.ingestedMaxMs).toISOString(),
      hour: dateTime(hourMs),
      key,
      rows,
    })),
  );
  // Files first: a commit whose counts are there is not looked at again.
  await clickhouse.insertRows('ledger_files', files, { idempotent: true });
  const counts = commits.flatMap((commit) => countsOf(of, commit));
  await clickhouse.insertRows('ledger_archived', counts, { idempotent: true });
}

/** The rows of one commit; one that did not count has its rows in the minute of its last record. */
function countsOf(of: Signal, commit: Commit): Record<string, unknown>[] {
  const about = {
    signal: of,
    partition: commit.partition,
    first_offset: commit.firstOffset,
    ingested_max_at: new Date(commit.ingestedMaxMs).toISOString(),
  };
  const minutes = (commit.counts ?? []).flatMap(({ tenant, origin, minutes: own }) =>
    own.map(([minute, records, rows, rejected, dead]) => ({
      ...about,
      tenant_id: tenant,
      origin,
      minute: dateTime(minute * 60_000),
      records,
      rows,
      rejected,
      dead,
    })),
  );
  if (minutes.length > 0) return minutes;
  const minute = dateTime(Math.floor(commit.ingestedMaxMs / 60_000) * 60_000);
  return [{ ...about, tenant_id: '', origin: 'uncounted', minute, rows: commit.rows }];
}

function commitKeyOf(of: Signal, partition: string, firstOffset: bigint): string {
  return commitKey(topics[of], partition, firstOffset);
}
