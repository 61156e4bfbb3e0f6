/** Archives OTLP requests for tests of the batch: through the real columns and the real Parquet writer. */
import { ItemColumns } from '../../aggregator-as/host.ts';
import { fileKey, topics, type Signal } from '../../schemas/archive.ts';
import { commitKey, type Commit } from '../../schemas/commit.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';

/** One request as it reached the archive. */
export interface Delivery {
  readonly request: Uint8Array;
  readonly tenantId: string;
  readonly receivedMs: number;
  readonly partition: number;
  readonly offset: bigint;
}

/** Stores one commit of these deliveries, which are of one partition; returns its file keys. */
export async function archiveDeliveries(
  store: ObjectStore,
  signal: Signal,
  deliveries: readonly Delivery[],
): Promise<string[]> {
  const columns = new ItemColumns(await loadTranscoder(), signal);
  const topic = topics[signal];
  for (const { request, ...from } of deliveries) {
    columns.add(request, { ...from, topic, pastMaxMs: 400 * 86_400_000, futureMaxMs: 86_400_000 });
  }
  const [first] = deliveries;
  if (first === undefined) return [];
  const partition = first.partition < 0 ? 'spool' : String(first.partition);
  const place = { topic, partition, firstOffset: first.offset };
  const files: Commit['files'] = [];
  for (const hour of columns.hours()) {
    const { bytes, rowGroups } = encodeParquet(hour);
    const { hourMs, quarantined, rows, timeMinNs, timeMaxNs } = hour;
    // Quarantined items have a file of their own in the hour of their receipt.
    const key = fileKey(signal, hourMs, { ...place, attempt: quarantined ? 'a2' : 'a1' });
    await store.put(key, bytes);
    const times = { timeMinNs: String(timeMinNs), timeMaxNs: String(timeMaxNs) };
    files.push({ key, bytes: bytes.length, rows, hourMs, ...times, quarantined, rowGroups });
  }
  const commit: Commit = {
    version: 1,
    topic,
    partition,
    firstOffset: String(first.offset),
    nextOffset: String((deliveries.at(-1) ?? first).offset + 1n),
    rows: columns.rowCount,
    rejected: {},
    files,
    watermarkMs: 0,
    ingestedMaxMs: Math.max(...deliveries.map(({ receivedMs }) => receivedMs)),
    spoolKeys: [],
    writer: 'test',
    committedAt: '2026-11-22T00:00:00.000Z',
    codeVersion: 'test',
  };
  await store.put(commitKey(topic, partition, first.offset), JSON.stringify(commit));
  return files.map(({ key }) => key);
}
