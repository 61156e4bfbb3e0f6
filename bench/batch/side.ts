/**
 * One side of the benchmark in a process of its own, so that its peak of memory is its own: computes a
 * day's figures from the files of a directory, and prints them with what it took. Arguments: side,
 * directory, threads, memory in bytes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Archive } from './generate.ts';
import type { SideContext } from './worker.ts';
import { planShards, shardRowsMax } from '../../batch/plan/plan.ts';
import { signalBatches } from '../../batch/signals.ts';
import type { WorkOptions } from '../../batch/work.ts';
import type { PartialReader } from '../../batch/merge/ranges.ts';
import { mergePartials } from '../../batch/traces/merge.ts';
import {
  batchYoungMb,
  kernelBaseBytes,
  kernelRowBytes,
  shardRowsMin,
} from '../../schemas/limits/batch.ts';
import { publishedQuantiles } from '../../schemas/partials/spans.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import type { Shard } from '../../schemas/shard.ts';

/** Service, operation, kind; spans, duplicates, errors, traces; least, greatest, mean, quantiles, ms. */
export type Row = readonly (string | number)[];

export interface SideReport {
  readonly rows: Row[];
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly shards?: number;
  /** What starting the threads took, as loading the other engines is not counted either. */
  readonly startSeconds?: number;
}

/** What the SQL engines are asked: identity first, figures of what is left. No copies differ here. */
const distinctSql = (anyValue: string, source: string) => `
  SELECT ServiceName, SpanName, SpanKind, TraceId, ${anyValue}(Duration) AS Duration,
    ${anyValue}(StatusCode = 'Error') AS failed, count(*) AS copies
  FROM ${source} GROUP BY TenantId, ServiceName, SpanName, SpanKind, TraceId, SpanId`;

type Side = (directory: string, threads: number, memoryBytes: number) => Promise<SideReport>;

/** Our figures of groups, as hour runs have them: what the other sides are asked, too. */
const ours: Side = async (...given) => {
  const pool = await startPool('hour', ...given);
  const started = begin();
  const { shards, partials } = await pool.compute();
  const stats = await mergePartials(partials, publishedQuantiles);
  const rows = stats.map((group): Row => [
    group.serviceName,
    group.operationName,
    group.spanKind,
    group.totalSpans,
    group.duplicateSpans,
    group.errorCount,
    group.uniqueTraces,
    group.minMs,
    group.maxMs,
    group.meanMs,
    ...group.quantilesMs,
  ]);
  return { rows, ...started(), shards, startSeconds: pool.startSeconds };
};

/** All that a day run computes: the service graph as well. Its rows are those of the graph. */
const day: Side = async (...given) => {
  const pool = await startPool('day', ...given);
  const started = begin();
  const { shards, partials } = await pool.compute();
  const limits = { seriesMax: 1, edgesMax: 100_000, operationsMax: 1_000_000 };
  const { tables } = await signalBatches.traces.merge(partials, {
    ...limits,
    kind: 'day',
  });
  const taken = started();
  const rows: Row[] = [];
  for await (const part of tables.at(-1)?.parts() ?? []) {
    for (const row of part) rows.push(Object.values(row).map(String));
  }
  return { rows, ...taken, shards, startSeconds: pool.startSeconds };
};

/** The same fixed work on every thread at once. */
const machine: Side = async (...given) => {
  const pool = await startPool('hour', ...given);
  await pool.spin();
  const started = begin();
  await pool.spin();
  return { rows: [], ...started() };
};

/** What Node and its threads take beside the kernels. */
const processBytes = 256 * 1024 * 1024;

/** Threads that have loaded their code, and how long that took. */
async function startPool(
  kind: PeriodKind,
  directory: string,
  threads: number,
  memoryBytes: number,
) {
  const wasm = new URL('../../aggregator-as/build/aggregate.wasm', import.meta.url);
  const archive = JSON.parse(await readFile(`${directory}/archive.json`, 'utf8')) as Archive;
  const kernel = await WebAssembly.compile(await readFile(wasm));
  const ofKernel = Math.floor((memoryBytes - processBytes) / threads);
  const work: WorkOptions = {
    kernel,
    memoryBytes: ofKernel,
    hashSeed: 0n,
    periodMs: 0,
    seriesMax: 1,
    edgesMax: 100_000,
    operationsMax: 1_000_000,
    kind,
  };
  const loading = begin();
  const workers = await startWorkers(threads, { directory, work });
  const startSeconds = loading().seconds;
  const memory =
    kind === 'day'
      ? signalBatches.traces.memory
      : { baseBytes: kernelBaseBytes, rowBytes: kernelRowBytes };
  const compute = async () => {
    const shards = planShards(archive.files, {
      rowsMax: shardRowsMax(ofKernel, memory),
      shardsWanted: threads,
      rowsMin: shardRowsMin,
    });
    return { shards: shards.length, partials: await computeAll(shards, workers) };
  };
  const spin = () =>
    Promise.all(
      workers.map((worker) => {
        worker.postMessage('spin', []);
        return once(worker, 'message');
      }),
    );
  return { startSeconds, compute, spin };
}

async function startWorkers(threads: number, context: SideContext): Promise<Worker[]> {
  const start = async () => {
    const resourceLimits = { maxYoungGenerationSizeMb: batchYoungMb };
    const url = new URL('./worker.ts', import.meta.url);
    const worker = new Worker(url, { workerData: context, resourceLimits });
    await once(worker, 'message');
    return worker;
  };
  return Promise.all(Array.from({ length: threads }, start));
}

async function computeAll(
  shards: readonly Shard[],
  workers: readonly Worker[],
): Promise<PartialReader[]> {
  const queue = shards.values();
  const partials: PartialReader[] = [];
  const work = async (worker: Worker) => {
    for (const shard of queue) {
      worker.postMessage(shard, []);
      const [{ file, bytes }] = (await once(worker, 'message')) as [
        { file: string; bytes: number },
      ];
      partials[shard.index] = await fileReader(file, bytes);
    }
  };
  await Promise.all(workers.map(work));
  return partials;
}

async function fileReader(file: string, byteLength: number): Promise<PartialReader> {
  const handle = await open(file);
  const read = async (start: number, end: number) => {
    const buffer = Buffer.allocUnsafe(end - start);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    return buffer.subarray(0, bytesRead);
  };
  return { byteLength, read };
}

async function duckDb(directory: string, threads: number): Promise<SideReport> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const started = begin();
  const instance = await DuckDBInstance.create(':memory:', { threads: String(threads) });
  const connection = await instance.connect();
  const source = `read_parquet('${directory}/**/*.parquet', hive_partitioning = false)`;
  const reader = await connection.runAndReadAll(`
    SELECT ServiceName, SpanName, SpanKind, count(*)::DOUBLE, (sum(copies) - count(*))::DOUBLE,
      sum(failed::INT)::DOUBLE, count(DISTINCT TraceId)::DOUBLE, min(Duration) / 1e6, max(Duration) / 1e6,
      avg(Duration) / 1e6, quantile_cont(Duration, [${publishedQuantiles.join(', ')}])
    FROM (${distinctSql('any_value', source)}) GROUP BY ALL`);
  const taken = started();
  const rows = reader.getRowsJson().map((row) => ordered(row.flat()));
  connection.closeSync();
  return { rows, ...taken };
}

async function clickHouse(directory: string, threads: number): Promise<SideReport> {
  const { Session } = await import('chdb');
  const started = begin();
  const session = new Session();
  const source = `file('${directory}/**/*.parquet', Parquet)`;
  const text = session.query(
    `SELECT ServiceName, SpanName, SpanKind, count(), sum(copies) - count(), sum(failed),
      uniqExact(TraceId), min(Duration) / 1e6, max(Duration) / 1e6, avg(Duration) / 1e6,
      quantilesExactInclusive(${publishedQuantiles.join(', ')})(Duration)
    FROM (${distinctSql('any', source)}) GROUP BY ServiceName, SpanName, SpanKind
    SETTINGS max_threads = ${threads}`,
    'JSONCompactEachRow',
  );
  const taken = started();
  session.cleanup();
  const lines = text.trimEnd().split('\n');
  const rows = lines.map((line) => ordered((JSON.parse(line) as unknown[]).flat()));
  return { rows, ...taken };
}

/** The quantiles are still in nanoseconds. */
function ordered(row: readonly unknown[]): Row {
  return row.map((value, index) => {
    if (index < 3) return String(value);
    return index < 10 ? Number(value) : Number(value) / 1e6;
  });
}

const python = `
import json, os, sys, time
from pyspark.sql import SparkSession, functions as f
directory, threads = sys.argv[1], sys.argv[2]
spark = (SparkSession.builder.master(f"local[{threads}]").config("spark.ui.enabled", "false")
  .config("spark.driver.memory", "4g").config("spark.driver.host", "127.0.0.1")
  .config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC")
  .config("spark.sql.legacy.parquet.nanosAsLong", "true")
  .config("spark.sql.shuffle.partitions", "8").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
begun = time.monotonic()
spans = spark.read.option("recursiveFileLookup", "true").option("pathGlobFilter", "*.parquet").parquet(directory).select(
  "TenantId", "ServiceName", "SpanName", "SpanKind", "TraceId", "SpanId", f.col("Duration").cast("long").alias("Duration"),
  (f.col("StatusCode") == "Error").cast("int").alias("failed"))
one = spans.groupBy("TenantId", "ServiceName", "SpanName", "SpanKind", "TraceId", "SpanId").agg(
  f.first("Duration").alias("Duration"), f.first("failed").alias("failed"), f.count("*").alias("copies"))
rows = one.groupBy("ServiceName", "SpanName", "SpanKind").agg(f.count("*"), f.sum("copies") - f.count("*"), f.sum("failed"),
  f.countDistinct("TraceId"), f.min("Duration") / 1e6, f.max("Duration") / 1e6, f.avg("Duration") / 1e6,
  f.expr("percentile(Duration, array(0.5, 0.95, 0.99))")).collect()
ended = time.monotonic()
jvm = f"/proc/{spark._jvm.java.lang.ProcessHandle.current().pid()}"
ticks = sum(int(x) for x in open(jvm + "/stat").read().rsplit(")", 1)[1].split()[11:13])
peak = next(int(line.split()[1]) for line in open(jvm + "/status") if line.startswith("VmHWM"))
spark.stop()
print(json.dumps({"rows": [list(row[:10]) + [x / 1e6 for x in row[10]] for row in rows], "seconds": ended - begun,
  "cpuSeconds": ticks / os.sysconf("SC_CLK_TCK"), "rssBytes": peak * 1024}))
`;

/** The seed's job, corrected: duplicates removed before anything is counted, exact percentiles. */
async function spark(directory: string, threads: number): Promise<SideReport> {
  const script = path.join(directory, 'spark.py');
  await writeFile(script, python);
  const interpreter = path.join(homedir(), '.cache/tidemark/peers/pyspark/bin/python');
  const text = await new Promise<string>((resolve, reject) => {
    const child = spawn(process.env.TIDEMARK_BENCH_PYTHON ?? interpreter, [
      script,
      directory,
      String(threads),
    ]);
    let output = '';
    child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stderr.resume();
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`PySpark ended with code ${code}`)),
    );
  });
  return JSON.parse(text.trim().split('\n').at(-1) ?? '') as SideReport;
}

/** Measures from now on; the engine itself has been loaded. */
function begin(): () => Pick<SideReport, 'seconds' | 'cpuSeconds' | 'rssBytes'> {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  return () => {
    const seconds = (performance.now() - startedMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const rssBytes = process.resourceUsage().maxRSS * 1024;
    return { seconds, cpuSeconds: (user + system) / 1e6, rssBytes };
  };
}

const sides: Record<string, Side> = { ours, day, machine, duckDb, clickHouse, spark };

if (import.meta.main) {
  const [side = '', directory = '', threads = '1', memoryBytes = '0'] = process.argv.slice(2);
  const report = await sides[side]?.(directory, Number(threads), Number(memoryBytes));
  await new Promise((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, resolve));
  process.exit();
}
