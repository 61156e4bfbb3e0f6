/**
 * Measures the archiver: from a real Kafka topic to committed Parquet in a real local R2 bucket
 * (Miniflare's S3 endpoint), for each signal; where its time goes; the well-known Parquet writers on
 * the same rows; and a backlog drained by one process and by two. Per core means per second of CPU of
 * the archiver's processes, all threads, neither the broker's nor the bucket's. Every run asserts that
 * all items were archived; equality of the rows is `test/workers/parquet*.test.ts`'s.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { topics } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { startTestKafka } from '../test/support/kafka.ts';
import type { TestKafka } from '../test/support/kafka.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { rowsAlone } from './archive/alone.ts';
import { drain } from './archive/drain.ts';
import type { Drained } from './archive/drain.ts';
import { partitions, produce } from './archive/load.ts';
import type { Load } from './archive/load.ts';
import { clickhouseBytes } from './archive/parts.ts';
import { timeWriters } from './archive/writers.ts';

const signals: readonly Signal[] = ['logs', 'metrics', 'traces'];
/** Items of each signal, and of the backlog of spans. */
const defaultItems = 1_000_000;
const backlogTimes = 5;
const units = { traces: 'span', logs: 'log record', metrics: 'point' } as const;

/** Runs the benchmark with so many items of each signal, and five times as many spans of backlog. */
export async function archive(items = defaultItems): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'));
  const kafka = await startTestKafka();
  try {
    await createTopics(kafka);
    for (const signal of signals) {
      const nowMs = Date.now();
      const count = signal === 'traces' ? items * backlogTimes : items;
      progress(`${signal}: writing ${count} items to Kafka`);
      const load = await produce(kafka.client, signal, count, nowMs);
      await measureSignal(kafka, signal, load, directory);
      if (signal !== 'traces') continue;
      await measureTwo(kafka, load);
      await measureTurns(kafka, load);
    }
  } finally {
    await kafka.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function createTopics(kafka: TestKafka): Promise<void> {
  const admin = await kafka.client.openAdmin();
  await admin.createTopics(Object.values(topics).map((topic) => ({ topic, partitions })));
  await admin.close();
}

/** One process, with one thread that encodes. */
async function measureSignal(
  kafka: TestKafka,
  signal: Signal,
  load: Load,
  directory: string,
): Promise<void> {
  progress(`${signal}: archiving`);
  const { brokers } = kafka;
  const drained = await drain({ brokers, signal, rows: load.items, processes: 1, threads: 1 });
  try {
    const largest = await largestFile(drained.bucket.store, signal);
    reportRun(signal, load, drained, 1);
    reportShares(signal, drained);
    const mine = await clickhouseBytes(signal, Date.now());
    const bytes = largest.totalBytes / load.items;
    line(signal, 'on disk', bytes, `bytes/${units[signal]}`, {
      versus: `ClickHouse's own tables: ${mine.toFixed(1)}`,
      ratio: round(mine / bytes),
    });
    const file = path.join(directory, `${signal}.parquet`);
    await writeFile(file, largest.bytes);
    progress(`${signal}: other writers`);
    await reportWriters(signal, file, { directory, rows: largest.rows, drained });
  } finally {
    await drained.bucket.close();
  }
}

async function measureTwo(kafka: TestKafka, load: Load): Promise<void> {
  progress('traces: archiving with two processes');
  const { brokers } = kafka;
  const options = {
    brokers,
    signal: 'traces',
    rows: load.items,
    processes: 2,
    threads: 1,
  } as const;
  const drained = await drain(options);
  await drained.bucket.close();
  reportRun('traces', load, drained, 2);
}

/**
 * The backlog again, each process in slices of time of its own, so that two find on this machine twice
 * what one has, broker and store included: whether one waits for the other shows here alone. Once
 * over all, and once between the first commit and the last, without the time to load and to join.
 */
async function measureTurns(kafka: TestKafka, load: Load): Promise<void> {
  const { brokers } = kafka;
  let alone: { readonly rate: number; readonly steady: number } | undefined;
  for (const processes of [1, 2]) {
    progress(`traces: archiving with ${processes} in turns`);
    const options = { brokers, signal: 'traces', threads: 1, inTurns: true } as const;
    const drained = await drain({ ...options, rows: load.items, processes });
    await drained.bucket.close();
    const rate = (load.items / drained.wallMs) * 1000;
    const steady = drained.steadyRate;
    line('traces', `archived by ${processes} in turns`, rate, 'spans/s', {
      wallSeconds: round(drained.wallMs / 1000),
      cpuSeconds: round(drained.cpuMs / 1000),
      steady: Math.round(steady),
      ...(alone && {
        versus: 'one, in turns of the same length',
        ratio: round(rate / alone.rate),
        steadyRatio: round(steady / alone.steady),
      }),
    });
    alone ??= { rate, steady };
  }
}

function reportRun(signal: Signal, load: Load, drained: Drained, processes: number): void {
  const name = processes === 1 ? 'archived' : `archived by ${processes} processes`;
  const cpuSeconds = drained.cpuMs / 1000;
  line(signal, name, load.items / cpuSeconds, `${units[signal]}s/CPU s`, {
    otlpMegabytes: round(load.bytes / 1e6 / cpuSeconds),
    wallSeconds: round(drained.wallMs / 1000),
    cpuSeconds: round(cpuSeconds),
    perWallSecond: Math.round((load.items / drained.wallMs) * 1000),
    rssMegabytesMax: Math.round(drained.rssBytesMax / 1e6),
    files: drained.files,
    commits: drained.commits,
    items: load.items,
  });
}

/** Parts of all CPU time. What is left is the garbage collector's, zlib's threads' and the like. */
function reportShares(signal: Signal, drained: Drained): void {
  const { fetchMs, decodeMs, sortMs, encodeMs, uploadMs, cpuMs } = drained;
  const stages = { fetchMs, decodeMs, sortMs, encodeMs, uploadMs };
  for (const [stage, ms] of Object.entries(stages)) {
    line(signal, `share of ${stage.slice(0, -2)}`, (100 * ms) / cpuMs, '%');
  }
}

interface Comparison {
  readonly directory: string;
  /** Of the file. */
  readonly rows: number;
  readonly drained: Drained;
}

/**
 * Ours includes decoding and sorting; theirs begin with rows that are decoded and sorted. Ours is
 * measured twice: in the archiver at work, cold start and all, and as theirs are, alone and warm.
 */
async function reportWriters(signal: Signal, file: string, options: Comparison): Promise<void> {
  const { directory, rows, drained } = options;
  const { decodeMs, sortMs, encodeMs } = drained;
  const own = (drained.rows / (decodeMs + sortMs + encodeMs)) * 1000;
  const unit = 'rows/CPU s';
  const warm = await rowsAlone(signal, rows);
  line(signal, 'decoded, sorted and written', own, unit);
  line(signal, 'decoded, sorted and written, alone', warm, unit);
  line(signal, 'written alone', (drained.rows / encodeMs) * 1000, unit);
  for (const { name, seconds, bytes } of await timeWriters(file, signal, directory)) {
    line(signal, `written by ${name}`, rows / seconds, unit, {
      bytesPerRow: round(bytes / rows),
      versus: 'our decoding, sorting and writing',
      ratio: round((own * seconds) / rows),
      ratioAlone: round((warm * seconds) / rows),
    });
  }
}

/** The largest file of the archive, and the bytes of all. */
async function largestFile(store: ObjectStore, signal: Signal) {
  let [totalBytes, most, key] = [0, 0, ''];
  for await (const page of store.list(`signal=${signal}/`)) {
    for (const entry of page) {
      totalBytes += entry.bytes;
      if (entry.bytes <= most) continue;
      [most, key] = [entry.bytes, entry.key];
    }
  }
  const bytes = (await store.get(key)) ?? new Uint8Array();
  const { parquetMetadata } = await import('hyparquet');
  const copy = bytes.slice();
  return { totalBytes, bytes, rows: Number(parquetMetadata(copy.buffer).num_rows) };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function line(signal: Signal, name: string, value: number, unit: string, more: object = {}): void {
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`;
  const rounded = value > 1000 ? Math.round(value) : round(value);
  const figure = { bench: 'archive', case: `${signal}: ${name}`, value: rounded, unit, ...more };
  process.stdout.write(`${JSON.stringify({ ...figure, machine })}\n`);
}
