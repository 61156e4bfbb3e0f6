/**
 * Archives random items of any signal, with every field of the protos and some of wild times, as
 * an archiver does: real Parquet files and commits. And compares what engines read of two archives.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { fileKey, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { commitKey } from '../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../schemas/commit.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { Generator } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { provenance } from '../aggregator-as/module.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { clickhouseRows, duckdb, duckdbFiles } from './archived.ts';

export interface HoursOptions {
  readonly signal: Signal;
  readonly module: WebAssembly.Module;
  readonly random: () => number;
  readonly commits: number;
  readonly requestsPerCommit: number;
  /** First offset of the first commit of each partition. @default 0 */
  readonly firstOffset?: number;
  /** Each request is of one of them, in turn. @default two */
  readonly tenants?: readonly string[];
  /** When all was received; a day after the items' own time all are quarantined. */
  readonly receivedMs?: number;
}

const generators = {
  traces: Generator,
  metrics: PointGenerator,
  logs: LogGenerator,
} as const;

/** Stores the commits of three partitions and their files, and gives what they say. */
export async function archiveHours(store: ObjectStore, options: HoursOptions): Promise<Commit[]> {
  const { signal, module, random, requestsPerCommit } = options;
  const { firstOffset = 0, tenants = ['acme', 'default'] } = options;
  const { receivedMs = provenance.receivedMs } = options;
  const generator = new generators[signal](random);
  const topic = topics[signal];
  const commits: Commit[] = [];
  for (let index = 0; index < options.commits; index += 1) {
    const partition = index % 3;
    const first = BigInt(firstOffset + Math.floor(index / 3) * requestsPerCommit);
    const columns = new ItemColumns(module, signal);
    for (let at = 0; at < requestsPerCommit; at += 1) {
      const tenantId = tenants[at % tenants.length] ?? '';
      const place = { topic, partition, offset: first + BigInt(at), tenantId, receivedMs };
      columns.add(generator.request(), { ...provenance, ...place });
    }
    const files: CommitFile[] = [];
    for (const batch of columns.hours()) {
      const { hourMs, quarantined, rows } = batch;
      const attempt = quarantined ? 'a1q' : 'a1';
      const key = fileKey(signal, hourMs, {
        topic,
        partition: String(partition),
        firstOffset: first,
        attempt,
      });
      const { bytes, rowGroups } = encodeParquet(batch);
      await store.put(key, bytes);
      const times = { timeMinNs: String(batch.timeMinNs), timeMaxNs: String(batch.timeMaxNs) };
      files.push({ key, bytes: bytes.length, rows, hourMs, quarantined, ...times, rowGroups });
    }
    const commit: Commit = {
      version: 1,
      topic,
      partition: String(partition),
      firstOffset: String(first),
      nextOffset: String(first + BigInt(requestsPerCommit)),
      rows: files.reduce((sum, { rows }) => sum + rows, 0),
      rejected: {},
      files,
      watermarkMs: receivedMs,
      ingestedMaxMs: receivedMs,
      spoolKeys: [],
      writer: 'test',
      committedAt: new Date(receivedMs).toISOString(),
      codeVersion: 'test',
    };
    await store.put(commitKey(topic, String(partition), first), JSON.stringify(commit));
    commits.push(commit);
  }
  return commits;
}

/** Calls `use` with copies of the objects in a temporary folder, in the order of the keys. */
export async function withCopies<T>(
  store: ObjectStore,
  keys: readonly string[],
  use: (paths: readonly string[]) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tidemark-hours-'));
  try {
    const paths: string[] = [];
    for (const [index, key] of keys.entries()) {
      const bytes = await store.get(key);
      if (!bytes) throw new Error(`there is no ${key}`);
      paths.push(path.join(directory, `${index}.parquet`));
      await writeFile(paths.at(-1) ?? '', bytes);
    }
    return await use(paths);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export interface Comparison {
  readonly before: number;
  readonly after: number;
  /** Rows that only one side has, as often as it has them more than the other. */
  readonly onlyBefore: number;
  readonly onlyAfter: number;
}

function count(sql: string): string {
  return `(SELECT count(*)::INTEGER FROM (${sql}))`;
}

/**
 * Compares two sets of files with DuckDB, every column, as multisets of rows; of the first one only
 * rows that `where` holds for.
 */
export async function compareInDuckdb(
  before: readonly string[],
  after: readonly string[],
  where = 'true',
): Promise<Comparison> {
  const [a, b] = [`${duckdbFiles(before)} WHERE ${where}`, duckdbFiles(after)];
  const [row] = await duckdb(
    `SELECT to_json({before: ${count(`SELECT * FROM ${a}`)}, after: ${count(`SELECT * FROM ${b}`)},
       onlyBefore: ${count(`SELECT * FROM ${a} EXCEPT ALL SELECT * FROM ${b}`)},
       onlyAfter: ${count(`SELECT * FROM ${b} EXCEPT ALL SELECT * FROM ${a}`)}})::VARCHAR AS row`,
    'row',
  );
  return row as unknown as Comparison;
}

function exact(_: string, value: unknown): unknown {
  if (typeof value !== 'number') return value;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Every row of the files as the ClickHouse engine reads it, as text, sorted; −0 is not 0. */
export function sortedRows(paths: readonly string[], signal: Signal): string[] {
  return paths
    .flatMap((file) => clickhouseRows(file, signal))
    .map((row) => JSON.stringify(row, exact))
    .toSorted();
}
