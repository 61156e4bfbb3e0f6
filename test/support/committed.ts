/** What is in an archive by its commit log alone, read with DuckDB: the judge of "exactly once". */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archiveSpoolPrefix, spoolName } from '../../schemas/archive.ts';
import { commitPrefix, parseCommit } from '../../schemas/commit.ts';
import type { Commit } from '../../schemas/commit.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { duckdb, duckdbFiles } from './archived.ts';
import { encodeTraces } from './otlp.ts';

export interface Committed {
  /** Oldest first. */
  readonly commits: readonly Commit[];
  /** The span names in all files that commits name, sorted, each as often as it is there. */
  readonly names: readonly string[];
  /** Rows whose (offset, item index) another row has too. */
  readonly repeated: number;
}

/**
 * Reads the whole log and all its files. Throws an Error when the log is not one chain of offsets,
 * or when a file is missing, or has other bytes or rows than its commit says.
 */
export async function readCommitted(
  store: ObjectStore,
  topic: string,
  partition = 'spool',
): Promise<Committed> {
  const commits = (await readLog(store, topic, partition)).toReversed();
  let next = '0';
  for (const commit of commits) {
    if (commit.firstOffset !== next) throw new Error(`gap in the log at offset ${next}`);
    next = commit.nextOffset;
  }
  const files = commits.flatMap((commit) => commit.files);
  if (files.length === 0) return { commits, names: [], repeated: 0 };
  for (const { key, bytes } of files) {
    if ((await store.head(key)) !== bytes) throw new Error(`file ${key} is not as committed`);
  }
  const keys = files.map(({ key }) => key);
  const [row] = await withFiles(store, keys, (paths) =>
    duckdb(
      `SELECT to_json({names: list(SpanName ORDER BY SpanName), rows: count(*),
         distinctRows: count(DISTINCT (Topic, "Partition", "Offset", ItemIndex))})::VARCHAR AS row
       FROM ${duckdbFiles(paths)}`,
      'row',
    ),
  );
  const { names, rows, distinctRows } = row as {
    names: string[];
    rows: number;
    distinctRows: number;
  };
  const promised = files.reduce((sum, file) => sum + file.rows, 0);
  if (rows !== promised) throw new Error(`${rows} rows in files, ${promised} in commits`);
  return { commits, names, repeated: rows - distinctRows };
}

/** Calls `use` with copies of the objects in a temporary folder. */
export async function withFiles<T>(
  store: ObjectStore,
  keys: readonly string[],
  use: (paths: string[]) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-committed-'));
  try {
    const paths: string[] = [];
    for (const key of keys) {
      const path = join(directory, `${paths.length}.parquet`);
      await writeFile(path, (await store.get(key)) ?? '');
      paths.push(path);
    }
    return await use(paths);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** All commits of a partition, newest first. */
export async function readLog(
  store: ObjectStore,
  topic: string,
  partition: string,
): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const page of store.list(commitPrefix(topic, partition))) {
    for (const { key } of page) {
      const body = await store.get(key);
      commits.push(parseCommit(key, new TextDecoder().decode(body)));
    }
  }
  return commits;
}

/** All keys under a prefix. */
export async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list(prefix)) keys.push(...page.map(({ key }) => key));
  return keys;
}

/**
 * A spool object with one span for each name; spans begin an hour apart from each other in turn,
 * so that a flush of several spans has several files.
 */
export function spoolObject(
  topic: string,
  receivedMs: number,
  requestId: string,
  names: readonly string[],
): { key: string; body: Uint8Array } {
  const spans = names.map((name, index) => {
    const startNs = BigInt(receivedMs - (index % 2) * 3_600_000) * 1_000_000n;
    return {
      traceId: Buffer.from(name.padEnd(16, '.').slice(-16)),
      spanId: Buffer.from(name.padEnd(8, '.').slice(-8)),
      name,
      startTimeUnixNano: String(startNs),
      endTimeUnixNano: String(startNs + 1_000_000n),
    };
  });
  const key = `${archiveSpoolPrefix(topic)}${spoolName({ receivedMs, requestId, tenantId: 'acme' })}`;
  return { key, body: encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] }) };
}
