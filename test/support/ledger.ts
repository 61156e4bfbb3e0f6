/**
 * Two books that must agree: what is in Kafka's topics, and what is in the Parquet files of committed
 * keys, as DuckDB counts it. The second is read without any reader of the archive's own.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Kafka, KafkaAdmin } from '../../workers/clients/kafka/kafka.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';
import { keysUnder } from './committed.ts';

/** Indexes of each record's items, `0 1 2`, by `topic/partition/offset`; none without items. */
export type Ledger = ReadonlyMap<string, string>;

/**
 * Keys of all records of the topics, from offset 0 to their ends, by `topic/partition/offset`. Waits
 * for ever should one be missing.
 */
export async function readTopics(
  kafka: Kafka,
  admin: KafkaAdmin,
  topics: readonly string[],
): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  let expected = 0;
  for (const topic of topics) {
    for (const { high } of await admin.offsets(topic)) expected += Number(high);
  }
  const { promise: all, resolve: done } = Promise.withResolvers<void>();
  const groupId = 'judge';
  await admin.groupReady(groupId, topics[0] ?? '');
  const consumer = await kafka.consume({
    groupId,
    topics,
    handler: {
      assigned: () => Promise.resolve(0n),
      revoked: () => undefined,
      failed: () => undefined,
      records({ topic, partition, records }) {
        for (const { offset, key } of records) {
          keys.set(`${topic}/${partition}/${offset}`, String(key));
        }
        if (keys.size >= expected) done();
      },
    },
  });
  await all;
  await consumer.stop();
  return keys;
}

export interface CommittedLedger {
  readonly ledger: Ledger;
  readonly commits: number;
  readonly files: number;
  readonly rows: number;
  /** Files that no commit names. */
  readonly orphans: number;
}

interface CommitText {
  readonly firstOffset: string;
  readonly nextOffset: string;
  readonly files: readonly { readonly key: string; readonly bytes: number }[];
}

/**
 * The rows of all files that commits name, as DuckDB reads them. Throws an Error when a partition's
 * commits are not one chain of offsets, or when a file is missing or has another size.
 */
export async function readCommittedFiles(store: ObjectStore): Promise<CommittedLedger> {
  const commitKeys = await keysUnder(store, '_commits/');
  const texts = await mapParallel(commitKeys, 16, async (key) => {
    const bytes = await store.get(key);
    return { key, commit: JSON.parse(new TextDecoder().decode(bytes)) as CommitText };
  });
  assertChains(texts);
  const files = texts.flatMap(({ commit }) => commit.files);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-ledger-'));
  try {
    await mapParallel([...files.entries()], 16, async ([index, { key, bytes }]) => {
      const body = await store.get(key);
      if (body?.byteLength !== bytes) throw new Error(`file ${key} is not as committed`);
      // The three signals have different columns.
      const signal = key.split('/')[0] ?? '';
      writeFileSync(path.join(directory, `${signal}+${index}.parquet`), body);
    });
    const { ledger, rows } = await countRows(directory, [...new Set(files.map(signalOf))]);
    const named = new Set(files.map(({ key }) => key));
    const stored = await keysUnder(store, 'signal=');
    const orphans = stored.filter((key) => !named.has(key)).length;
    return { ledger, rows, orphans, commits: texts.length, files: files.length };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function signalOf({ key }: { readonly key: string }): string {
  return key.split('/')[0] ?? '';
}

/** Keys count down, so that in each partition the newest commit comes first. */
function assertChains(texts: readonly { key: string; commit: CommitText }[]): void {
  const next = new Map<string, string>();
  for (const { key, commit } of texts.toReversed()) {
    const partition = key.slice(0, key.lastIndexOf('/'));
    if (commit.firstOffset !== (next.get(partition) ?? '0')) throw new Error(`gap before ${key}`);
    next.set(partition, commit.nextOffset);
  }
}

async function countRows(directory: string, signals: readonly string[]) {
  const ledger = new Map<string, string>();
  let rows = 0;
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    for (const signal of signals) {
      const files = `read_parquet('${directory}/${signal}+*.parquet', hive_partitioning = false)`;
      const answer = await connection.runAndReadAll(
        `SELECT concat_ws('/', Topic, "Partition", "Offset") AS record,
           string_agg(ItemIndex::VARCHAR, ' ' ORDER BY ItemIndex) AS items, count(*)::INT AS rows
         FROM ${files} GROUP BY record`,
      );
      for (const row of answer.getRowObjects()) {
        ledger.set(String(row['record']), String(row['items']));
        rows += Number(row['rows']);
      }
    }
    return { ledger, rows };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
