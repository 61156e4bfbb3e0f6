/** Archives days of random spans for tests of the batch: real Parquet files, commits, watermarks. */
import { fileKey, topics } from '../../schemas/archive.ts';
import { commitKey, watermarkKey, type Commit } from '../../schemas/commit.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { writeSpanFile, type SpanRow } from './spans.ts';

export const hourMs = 3_600_000;

export interface ArchivedFile {
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface ArchiveOptions {
  readonly partition?: string;
  /** First offset of the commit; each commit of a partition needs another one. */
  readonly firstOffset: bigint;
  readonly rowGroupRows?: number;
  readonly quarantined?: boolean;
  readonly watermarkMs?: number;
}

/** Stores one commit whose files are the rows by event hour. */
export async function archiveSpans(
  store: ObjectStore,
  rows: readonly SpanRow[],
  options: ArchiveOptions,
): Promise<ArchivedFile[]> {
  const { partition = 'spool', firstOffset, quarantined = false, watermarkMs = 0 } = options;
  const topic = topics.traces;
  const hours = Map.groupBy(rows, ({ timestampNs }) => hourOf(timestampNs));
  const files: ArchivedFile[] = [];
  const named: Commit['files'] = [];
  for (const [hour, hourRows] of hours) {
    const file = writeSpanFile(hourRows, options.rowGroupRows);
    const key = fileKey('traces', hour, { topic, partition, firstOffset, attempt: 'a1' });
    const times = hourRows.map((row) => row.timestampNs).toSorted((a, b) => (a < b ? -1 : 1));
    await store.put(key, file.bytes);
    files.push({ key, bytes: file.bytes });
    named.push({
      key,
      bytes: file.bytes.length,
      rows: hourRows.length,
      hourMs: hour,
      timeMinNs: String(times[0]),
      timeMaxNs: String(times.at(-1)),
      quarantined,
      rowGroups: file.rowGroups,
    });
  }
  const commit: Commit = {
    version: 1,
    topic,
    partition,
    firstOffset: String(firstOffset),
    nextOffset: String(firstOffset + BigInt(rows.length)),
    rows: rows.length,
    rejected: {},
    files: named,
    watermarkMs,
    ingestedMaxMs: Math.max(...rows.map((row) => row.ingestedMs)),
    spoolKeys: [],
    writer: 'test',
    committedAt: '2026-11-22T00:00:00.000Z',
    codeVersion: 'test',
  };
  await store.put(commitKey(topic, partition, firstOffset), JSON.stringify(commit));
  return files;
}

/** Says that everything received before `watermarkMs` is archived. */
export async function moveWatermark(
  store: ObjectStore,
  watermarkMs: number,
  partition = 'spool',
): Promise<void> {
  await store.put(watermarkKey(topics.traces, partition, watermarkMs), '{}');
}

function hourOf(timestampNs: bigint): number {
  return Math.floor(Number(timestampNs / 1_000_000n) / hourMs) * hourMs;
}
