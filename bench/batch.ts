/**
 * Measures the batch: a day's exact figures of spans from the archive's files on a local disk, against
 * DuckDB, the ClickHouse engine and the seed's Spark job over the same files, each in a process of its own.
 * Asserts first that all give the same figures. What is lost stays in the output.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeArchive } from './batch/generate.ts';
import type { Row, SideReport } from './batch/side.ts';

const defaultSpans = 5_000_000;
/** Runs of the fast sides, of which the best counts. */
const repeats = 3;
const threads = 2;
const memoryBytes = 1024 * 1024 * 1024;

/** Runs the benchmark with about so many spans; from 20 million on, only this batch and DuckDB. */
export async function batch(spans = defaultSpans): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'));
  try {
    progress(`generating ${spans} spans`);
    await mkdir(directory, { recursive: true });
    const archive = await makeArchive(directory, spans);
    await writeFile(path.join(directory, 'archive.json'), JSON.stringify(archive));
    const run = (name: string, times = 1, on = threads) => best(name, directory, times, on);
    const ours = await run('ours', repeats);
    assert(ours, 'Our own side runs');
    line('groups of a day', archive.rows, ours);
    for (const name of ['ours', 'day']) await compareThreads(name, archive.rows, run);
    await compareMachine(run);
    const isLarge = archive.rows > 20_000_000;
    for (const name of isLarge ? ['duckDb'] : ['duckDb', 'clickHouse', 'spark']) {
      const other = await run(name, name === 'spark' || isLarge ? 1 : repeats);
      if (other === undefined) continue;
      assertSame(name, ours.rows, other.rows);
      compare(archive.rows, name, ours, other);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Run = (name: string, times?: number, on?: number) => Promise<SideReport | undefined>;

/** One thread and two. Of `day`, which has the service graph, both figures are told. */
async function compareThreads(name: string, rows: number, run: Run): Promise<void> {
  const [alone, both] = [await run(name, repeats, 1), await run(name, repeats)];
  assert(alone && both, 'Our own side runs');
  assert.deepEqual(alone.rows, both.rows, 'The number of threads and shards changes nothing');
  if (name === 'day') line('day with its service graph', rows, both);
  figure({
    case: name === 'day' ? 'day, one thread to two' : 'groups, one thread to two',
    value: round(alone.seconds / both.seconds),
    unit: 'times as fast',
    wallSeconds: round(alone.seconds),
    cpuSeconds: round(alone.cpuSeconds),
    cpuSecondsOfTwo: round(both.cpuSeconds),
    shards: alone.shards,
  });
}

/** What two threads gain on this machine at best: 2 where they have cores of their own. */
async function compareMachine(run: Run): Promise<void> {
  const [alone, both] = [await run('machine', repeats, 1), await run('machine', repeats)];
  assert(alone && both, 'Our own side runs');
  figure({
    case: 'machine, one thread to two',
    value: round((2 * alone.seconds) / both.seconds),
    unit: 'times as much work',
  });
}

const side = path.join(import.meta.dirname, 'batch/side.ts');

/** Those that have to run. */
const ownSides: ReadonlySet<string> = new Set(['ours', 'day', 'machine']);

/** The fastest of several runs; `undefined` when the engine is not there or gives up. */
async function best(
  name: string,
  directory: string,
  times: number,
  on: number,
): Promise<SideReport | undefined> {
  let found: SideReport | undefined;
  for (let time = 0; time < times; time += 1) {
    progress(`${name}, ${on} threads, run ${time + 1} of ${times}`);
    try {
      const args = [side, name, directory, String(on), String(memoryBytes)];
      const options = { maxBuffer: 256 * 1024 * 1024 };
      const { stdout } = await promisify(execFile)(process.execPath, args, options);
      const report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as SideReport;
      if (found === undefined || report.seconds < found.seconds) found = report;
    } catch (error) {
      if (ownSides.has(name)) throw error;
      const reason = error instanceof Error ? error.message.split('\n').at(-2) : String(error);
      figure({ case: name, value: 'skipped', reason: reason ?? '' });
      return undefined;
    }
  }
  return found;
}

function keyOf(row: Row): string {
  return JSON.stringify(row.slice(0, 3));
}

/** Counts are equal; figures in milliseconds are but for the last bits, which engines round otherwise. */
function assertSame(name: string, ours: readonly Row[], theirs: readonly Row[]): void {
  assert.equal(theirs.length, ours.length, `${name} has as many groups`);
  const byKey = new Map(theirs.map((row) => [keyOf(row), row]));
  for (const row of ours) {
    const other = byKey.get(keyOf(row)) ?? [];
    assert.deepEqual(row.slice(0, 7), other.slice(0, 7), `counts of ${name}`);
    for (const [index, value] of row.entries()) {
      if (index < 7) continue;
      const [a, b] = [Number(value), Number(other[index])];
      assert.ok(Math.abs(a - b) <= Math.abs(a) * 1e-9, `${name}, ${keyOf(row)}: ${a}, ${b}`);
    }
  }
}

/** Threads are started before it is measured: `startSeconds` is not in the other figures. */
function line(name: string, rows: number, report: SideReport): void {
  figure({
    case: name,
    value: Math.round(rows / report.seconds),
    unit: 'spans/s',
    wallSeconds: round(report.seconds),
    cpuSeconds: round(report.cpuSeconds),
    rssMegabytesMax: Math.round(report.rssBytes / 1e6),
    startSeconds: round(report.startSeconds ?? 0),
    shards: report.shards,
    rows,
  });
}

function compare(rows: number, name: string, ours: SideReport, other: SideReport): void {
  figure({
    case: `versus ${name}`,
    value: Math.round(rows / ours.seconds),
    unit: 'spans/s',
    versusValue: Math.round(rows / other.seconds),
    ratio: round(other.seconds / ours.seconds),
    cpuRatio: round(other.cpuSeconds / ours.cpuSeconds),
    wallSeconds: round(other.seconds),
    cpuSeconds: round(other.cpuSeconds),
    rssMegabytesMax: Math.round(other.rssBytes / 1e6),
    rows,
  });
}

function figure(fields: object): void {
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`;
  process.stdout.write(`${JSON.stringify({ bench: 'batch', ...fields, machine })}\n`);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
