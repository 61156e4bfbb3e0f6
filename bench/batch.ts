/**
 * Measures the batch of one day, from the list of files to the published run, on all cores: spans a
 * second, against DuckDB computing the same figures from the same files on a local disk. The batch
 * reads them from an R2 bucket by HTTP. Asserts first that both give the same figures.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import {
  Dictionary,
  Field,
  FixedSizeBinary,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table as ArrowTable,
  tableToIPC,
  TimestampMillisecond,
  Uint32,
  Uint64,
  Utf8,
  vectorFromArray,
  type Data,
} from 'apache-arrow';
import { Compression, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm/node';
import { runBatch, type BatchPhase } from '../batch/run.ts';
import { spanProof } from '../batch/traces/proof.ts';
import { verifyRun } from '../batch/verify.ts';
import { fileKey, topics } from '../schemas/archive.ts';
import { commitKey, type CommitFile } from '../schemas/commit.ts';
import { rowGroupRows } from '../schemas/limits/archive.ts';
import { parsePeriod } from '../schemas/period.ts';
import { oracleSql } from '../test/support/oracle.ts';
import { startStack, type Stack } from '../test/support/stack.ts';

const date = '2026-11-21';
const period = parsePeriod(date);
const files = 20;
const rowsPerFile = 100_000;
const rows = files * rowsPerFile;
const spansPerTrace = 10;
const tracesPerFile = rowsPerFile / spansPerTrace;
/** Of each file's traces, this many were in the file before already. */
const tracesAgain = tracesPerFile * 0.03;
const operations = 400;
const services = 20;

/** xorshift32: the same spans on every run. */
function randomWords(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Traces as seeds: a trace that is delivered again gives the same spans again. */
function traceSeeds(file: number): Uint32Array {
  const own = Uint32Array.from({ length: tracesPerFile }, (_, index) => seedOf(file, index));
  if (file > 0) for (let i = 0; i < tracesAgain; i += 1) own[i] = seedOf(file - 1, i + tracesAgain);
  return own.toSorted();
}

function seedOf(file: number, index: number): number {
  return Math.imul(file * tracesPerFile + index + 1, 2_654_435_761) >>> 0;
}

interface Columns {
  readonly [name: string]: Data;
}

function columnsOf(file: number): Columns {
  const traceIds = new Uint8Array(rowsPerFile * 16);
  const traceWords = new DataView(traceIds.buffer);
  const spanIds = new Uint32Array(rowsPerFile * 2);
  const operationCodes = new Int32Array(rowsPerFile);
  const kindCodes = new Int32Array(rowsPerFile);
  const statusCodes = new Int32Array(rowsPerFile);
  const durations = new BigUint64Array(rowsPerFile);
  let row = 0;
  for (const seed of traceSeeds(file)) {
    const next = randomWords(seed);
    const words = [seed, next(), next(), next()];
    for (let span = 0; span < spansPerTrace; span += 1, row += 1) {
      for (const [i, word] of words.entries()) traceWords.setUint32(row * 16 + i * 4, word);
      spanIds.set([next(), next()], row * 2);
      operationCodes[row] = next() % operations;
      kindCodes[row] = next() % 5;
      statusCodes[row] = Number(next() % 50 === 0);
      durations[row] = BigInt(Math.floor(Math.exp(13 + (next() / 2 ** 32) * 7)));
    }
  }
  return {
    TraceId: fixed(traceIds, 16),
    SpanId: fixed(new Uint8Array(spanIds.buffer), 8),
    SpanName: dictionary(operationCodes, names(operations, 'GET /api/v1/resource')),
    SpanKind: dictionary(kindCodes, ['Internal', 'Server', 'Client', 'Producer', 'Consumer']),
    ServiceName: dictionary(
      operationCodes.map((code) => code % services),
      names(services, 'service'),
    ),
    Duration: makeData({ type: new Uint64(), data: durations }),
    StatusCode: dictionary(statusCodes, ['Unset', 'Error']),
    TenantId: dictionary(new Int32Array(rowsPerFile), ['default']),
    IngestedAt: makeData({
      type: new TimestampMillisecond('UTC'),
      data: new BigInt64Array(rowsPerFile).fill(BigInt(Date.parse(`${date}T12:00:00Z`) + file)),
    }),
    Partition: makeData({ type: new Int32(), data: new Int32Array(rowsPerFile) }),
    Offset: makeData({
      type: new Int64(),
      data: new BigInt64Array(rowsPerFile).map((_, i) => BigInt(file * rowsPerFile + i)),
    }),
    ItemIndex: makeData({ type: new Uint32(), data: new Uint32Array(rowsPerFile) }),
  };
}

function names(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix} ${index}`);
}

function fixed(data: Uint8Array, width: number): Data {
  return makeData({ type: new FixedSizeBinary(width), length: rowsPerFile, nullCount: 0, data });
}

function dictionary(data: Int32Array, values: readonly string[]): Data {
  return makeData({
    type: new Dictionary(new Utf8(), new Int32()),
    length: rowsPerFile,
    nullCount: 0,
    data,
    dictionary: vectorFromArray(values, new Utf8()),
  });
}

function writeFileBytes(columns: Columns): Uint8Array {
  const fields = Object.entries(columns).map(([name, data]) => new Field(name, data.type, false));
  const children = Object.values(columns);
  const type = new Struct(fields);
  const struct = makeData({ type, length: rowsPerFile, nullCount: 0, children });
  const table = new ArrowTable([new RecordBatch(new Schema(fields), struct)]);
  const properties = new WriterPropertiesBuilder()
    .setMaxRowGroupSize(rowGroupRows)
    .setCompression(Compression.ZSTD)
    .setColumnDictionaryEnabled('TraceId', false)
    .setColumnDictionaryEnabled('SpanId', false)
    .build();
  return writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream')), properties);
}

/** Stores the day in the bucket and in `directory`; returns the keys of the files. */
async function makeDay(stack: Stack, directory: string): Promise<string[]> {
  const keys: string[] = [];
  for (let file = 0; file < files; file += 1) {
    const columns = columnsOf(file);
    const bytes = writeFileBytes(columns);
    const hourMs = Date.parse(`${date}T00:00:00Z`) + (file % 24) * 3_600_000;
    const firstOffset = BigInt(file * rowsPerFile);
    const parts = { topic: topics.traces, partition: '0', firstOffset, attempt: 'bench' };
    const key = fileKey('traces', hourMs, parts);
    await stack.store.put(key, bytes);
    await writeFile(path.join(directory, `${file}.parquet`), bytes);
    const named = { key, bytes: bytes.length, rowGroups: rowGroupsOf(file), hourMs };
    await stack.store.put(commitKey(topics.traces, '0', firstOffset), commitOf(named, firstOffset));
    keys.push(key);
  }
  return keys;
}

function rowGroupsOf(file: number): CommitFile['rowGroups'] {
  const traces = traceSeeds(file);
  const perGroup = rowGroupRows / spansPerTrace;
  const groups: CommitFile['rowGroups'] = [];
  for (let at = 0; at < traces.length; at += perGroup) {
    const first = traces[at] ?? 0;
    const last = traces[at + perGroup - 1] ?? 0;
    groups.push({ rows: rowGroupRows, idMin: traceIdOf(first), idMax: traceIdOf(last) });
  }
  return groups;
}

function traceIdOf(seed: number): string {
  const next = randomWords(seed);
  return [seed, next(), next(), next()].map((word) => word.toString(16).padStart(8, '0')).join('');
}

function commitOf(
  file: Pick<CommitFile, 'key' | 'bytes' | 'rowGroups' | 'hourMs'>,
  firstOffset: bigint,
): string {
  return JSON.stringify({
    version: 1,
    topic: topics.traces,
    partition: '0',
    firstOffset: String(firstOffset),
    nextOffset: String(firstOffset + BigInt(rowsPerFile)),
    rows: rowsPerFile,
    rejected: {},
    files: [{ ...file, rows: rowsPerFile, timeMinNs: '0', timeMaxNs: '0', quarantined: false }],
    watermarkMs: 0,
    ingestedMaxMs: 0,
    spoolKeys: [],
    writer: 'bench',
    committedAt: '2026-11-22T00:00:00.000Z',
    codeVersion: 'bench',
  });
}

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly phases: ReadonlyMap<BatchPhase, number>;
  readonly runId: string;
}

async function measureBatch(stack: Stack): Promise<Measured> {
  const starts: { phase: BatchPhase; at: number }[] = [];
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const { run } = await runBatch({
    ...stack,
    settings: { ...stack.settings, TIDEMARK_BATCH_THREADS: 0 },
    clock: Date.now,
    random: Math.random,
    log: { info: () => undefined, warn: (_, text) => process.stderr.write(`${text}\n`) },
    period,
    of: 'traces',
    force: true,
    onProgress: ({ phase }) => {
      if (starts.at(-1)?.phase !== phase) starts.push({ phase, at: performance.now() });
    },
  });
  const endedMs = performance.now();
  const ends = [...starts.slice(1).map(({ at }) => at), endedMs];
  const phases = starts.map(({ phase, at }, i) => [phase, ((ends[i] ?? at) - at) / 1000] as const);
  assert.equal(run?.rowsRead, rows);
  const seconds = (endedMs - startedMs) / 1000;
  return { seconds, cpuSeconds: cpuSince(cpu), phases: new Map(phases), runId: run.runId };
}

/** CPU time of all threads of this process, which neither the bucket nor ClickHouse is part of. */
function cpuSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

async function measureDuckDb(directory: string): Promise<Pick<Measured, 'seconds' | 'cpuSeconds'>> {
  const threads = String(os.availableParallelism());
  const instance = await DuckDBInstance.create(':memory:', { threads });
  const connection = await instance.connect();
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const reader = await connection.runAndReadAll(oracleSql(`'${directory}/*.parquet'`));
  const measured = { seconds: (performance.now() - startedMs) / 1000, cpuSeconds: cpuSince(cpu) };
  assert.equal(reader.currentRowCount, operations);
  connection.closeSync();
  instance.closeSync();
  return measured;
}

/** Runs the benchmark: the better of two runs of each side counts. */
export async function batch(): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'));
  const stack = await startStack();
  try {
    const keys = await makeDay(stack, directory);
    const runs = [await measureBatch(stack), await measureBatch(stack)];
    const [best] = runs.toSorted((a, b) => a.seconds - b.seconds);
    assert(best);
    const verified = await verifyRun({
      ...stack,
      period,
      runId: best.runId,
      keys,
      proofs: [spanProof],
      periodMs: period.startMs,
      seriesMax: 1,
      edgesMax: 1,
    });
    assert.deepEqual(verified.differences, []);
    const others = [await measureDuckDb(directory), await measureDuckDb(directory)];
    print('spans/s', rows / least(runs, 'seconds'), rows / least(others, 'seconds'));
    print('spans/CPU s', rows / least(runs, 'cpuSeconds'), rows / least(others, 'cpuSeconds'));
    for (const [phase, seconds] of best.phases) {
      printLine({ case: phase, value: Number(seconds.toFixed(3)), unit: 's' });
    }
  } finally {
    await stack.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function least<K extends string>(runs: readonly Record<K, number>[], figure: K): number {
  return Math.min(...runs.map((run) => run[figure]));
}

function print(unit: string, spans: number, duckDb: number): void {
  printLine({
    case: 'day',
    value: Math.round(spans),
    unit,
    versus: `DuckDB from local files: ${Math.round(duckDb)}`,
    ratio: Number((spans / duckDb).toFixed(2)),
  });
}

function printLine(figure: object): void {
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`;
  process.stdout.write(`${JSON.stringify({ bench: 'batch', ...figure, rows, machine })}\n`);
}
