/**
 * A period computed by processes that know nothing of each other but the name of their job: each computes its
 * share of the shards of one plan, and one process merges them after all have ended. Needs no Kafka; starts
 * nobody, and tries nothing again that a restart of its process would.
 */
import { gzipSync } from 'node:zlib';
import type { Signal } from '../schemas/archive.ts';
import { SettingError, TidemarkError } from '../schemas/errors.ts';
import {
  jobKey,
  jobShareKey,
  parseJobPlan,
  parseJobShare,
  type JobPlan,
  type JobShare,
} from '../schemas/job.ts';
import { fleetStoreCallsAtOnce, jobAgeMsMax } from '../schemas/limits/fleet.ts';
import type { Shard } from '../schemas/shard.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { mapParallel } from '../workers/clients/parallel.ts';
import { mergeOptions, planComputation, threadsOf, type Computation } from './plan/computation.ts';
import { shardName } from './pool/fault.ts';
import { deleteTasks, inflate, loadShard, putOnce, storeShard } from './fleet/stored.ts';
import { listInput, type BatchInput } from './plan/input.ts';
import { loadKernel, type Kernel } from './shard/kernel.ts';
import { collectPartials, keepPartials } from './merge/partials.ts';
import { lookAtRun, runBatch, type BatchOptions, type RunReport } from './run.ts';
import { localRunner, type ShardRunner } from './pool/runner.ts';
import { publishedOf, signalBatches } from './signals.ts';

export interface JobOptions extends BatchOptions {
  /** Name of the job, the same in all of its processes. */
  readonly job: string;
}

export interface ShareOptions extends JobOptions {
  /** Number of this process, from 0, and how many there are. */
  readonly index: number;
  readonly processes: number;
  /** Name of this process, for people. */
  readonly name: string;
}

/** What one process of a job did of one signal. */
export interface ShareReport {
  readonly job: string;
  readonly period: string;
  readonly signal: Signal;
  /** Shards of the whole plan, and of this process. */
  readonly shards: number;
  readonly own: number;
  /** Of its own, those that were there already. */
  readonly present: number;
  /** A sentence for the user. */
  readonly message: string;
}

/**
 * Computes this process's share of the period, by the plan that the first process of the job has stored. Throws
 * `TidemarkError`: BATCH_FAILED for a period that has not ended, a shard that cannot be computed, a plan that is
 * of other code or too old; `SettingError` for a plan of other settings, and for hours of a signal that has no
 * runs of them; and what the store and ClickHouse throw.
 */
export async function runShare(options: ShareOptions): Promise<ShareReport> {
  const { store, settings, random, period, of, job, index, processes } = options;
  publishedOf(of, period.kind);
  const kernel = await loadKernel(signalBatches[of].kernel);
  const planned = await planJob(options, kernel);
  const about = { job, period: period.name, signal: of };
  if (typeof planned === 'string') {
    return { ...about, shards: 0, own: 0, present: 0, message: planned };
  }
  const { shardKeys } = planned;
  const ownKeys = shardKeys.filter((_, place) => place % processes === index);
  const shards = await loadShards(store, ownKeys);
  const computation = computationOf(options, planned, shards);
  const { reports, missing } = await collectPartials(store, computation.name, shards);
  if (reports.length > 0) await keepPartials(store, computation.name);
  if (missing.length > 0) {
    const watched = watch(options, missing.length);
    const request = { computation, shards: missing, kernel: kernel.module, ...watched };
    await noted(options, computation.name, () => localRunner(settings, random)(request));
  }
  const message =
    `${period.name} (${of}), process ${index} of ${processes} of job ${job}: ` +
    `${ownKeys.length} of ${shardKeys.length} shards are computed`;
  const present = ownKeys.length - new Set(missing.map((shard) => shard.index)).size;
  return { ...about, shards: shardKeys.length, own: ownKeys.length, present, message };
}

/**
 * Merges what the processes of a job have computed, and publishes it as `runBatch` does. Throws BATCH_FAILED, naming
 * the shards, while some are missing, and when there is no plan although there is something to compute; and
 * what `runBatch` throws.
 */
export async function mergeJob(options: JobOptions): Promise<RunReport> {
  const { store, period, of, job } = options;
  publishedOf(of, period.kind);
  const plan = await readPlan(store, job, of);
  if (plan === undefined) return runBatch({ ...options, runner: nobody(options) });
  const { codeVersion } = await loadKernel(signalBatches[of].kernel);
  assertSame(options, plan, codeVersion);
  const shards = await loadShards(store, plan.shardKeys);
  const prepared = {
    input: { ...plan.input, period, files: [] },
    computation: computationOf(options, plan, shards),
  };
  const force = options.force === true || plan.force;
  const report = await runBatch({ ...options, force, prepared, runner: collector(options, plan) });
  try {
    await store.delete([jobKey(job, of)]);
    await deleteTasks(store, plan.computation);
  } catch (error) {
    options.log.warn({ period: period.name, job, err: error }, 'cannot tidy up after the job');
  }
  return report;
}

/** The plan that counts, or why there is nothing to plan. */
async function planJob(options: ShareOptions, kernel: Kernel): Promise<JobPlan | string> {
  const { store, period, of, job, processes, settings } = options;
  const stored = await readPlan(store, job, of);
  if (stored) return agreed(options, stored, kernel.codeVersion);
  const input = await listInput(store, of, period);
  const { action, message } = (await lookAtRun(options, input)).decision;
  if (action === 'refuse') throw new TidemarkError('BATCH_FAILED', message);
  if (action !== 'compute') return message;
  const { codeVersion } = kernel;
  const shardsWanted = processes * threadsOf(settings);
  const given = { period, of, settings, codeVersion, shardsWanted };
  const plan = await storePlan(options, input, planComputation(input, given));
  return agreed(options, plan, codeVersion);
}

/** Stores the shards, and then what names them; returns the plan that was first. */
async function storePlan(
  options: ShareOptions,
  input: BatchInput,
  computation: Computation,
): Promise<JobPlan> {
  const { store, clock, settings, period, of, job, processes, force = false } = options;
  const { ownFiles, commitKeys, inputHash, rowsRemoved, watermarkMs } = input;
  const { name, codeVersion, rows } = computation;
  const merge = { ...mergeOptions(settings, period) };
  const about = { computation: name, signal: of, period: period.name, merge };
  const shardKeys = await mapParallel(computation.shards, fleetStoreCallsAtOnce, (shard) =>
    storeShard(store, { ...about, shard }),
  );
  const plannedAt = new Date(clock()).toISOString();
  const plan: JobPlan = {
    version: 1,
    job,
    processes,
    plannedAt,
    codeVersion,
    force,
    rows,
    shardKeys,
    ...about,
    input: { ownFiles, commitKeys: [...commitKeys], inputHash, rowsRemoved, watermarkMs },
  };
  if (await putOnce(store, jobKey(job, of), gzipSync(JSON.stringify(plan)))) return plan;
  return (await readPlan(store, job, of)) ?? plan;
}

async function readPlan(store: ObjectStore, job: string, of: Signal): Promise<JobPlan | undefined> {
  const key = jobKey(job, of);
  const bytes = await store.get(key);
  return bytes && parseJobPlan(key, inflate(key, bytes));
}

function agreed(options: ShareOptions, plan: JobPlan, codeVersion: string): JobPlan {
  assertSame(options, plan, codeVersion);
  if (plan.processes === options.processes) return plan;
  const message = `Cannot be one of ${options.processes} processes: job ${plan.job} was planned for ${plan.processes}`;
  throw new SettingError('of', message);
}

/** That this process is the plan's: of its period, code and settings, and not of another day. */
function assertSame(options: JobOptions, plan: JobPlan, codeVersion: string): void {
  const { clock, settings, period } = options;
  const another = 'give another --job';
  const refuse = (why: string) =>
    new TidemarkError('BATCH_FAILED', `Cannot go by the plan of job ${plan.job}: ${why}`);
  if (plan.period !== period.name) throw refuse(`it is of ${plan.period}; ${another}`);
  if (plan.codeVersion !== codeVersion) {
    throw refuse(`it is of the code ${plan.codeVersion}, this is ${codeVersion}; ${another}`);
  }
  if (clock() - Date.parse(plan.plannedAt) > jobAgeMsMax) {
    throw refuse(`it is of ${plan.plannedAt}, and files it names may be gone; ${another}`);
  }
  const own = JSON.stringify({ ...mergeOptions(settings, period) });
  if (own === JSON.stringify(plan.merge)) return;
  throw refuse(`it has the settings ${JSON.stringify(plan.merge)}, this process ${own}`);
}

function computationOf(
  { period, of }: JobOptions,
  { computation: name, codeVersion, rows }: JobPlan,
  shards: readonly Shard[],
): Computation {
  return { name, period, of, codeVersion, shards, rows };
}

function loadShards(store: ObjectStore, keys: readonly string[]): Promise<Shard[]> {
  return mapParallel(keys, fleetStoreCallsAtOnce, async (key) => {
    const stored = await loadShard(store, key);
    if (stored) return stored.shard;
    throw new TidemarkError('BATCH_FAILED', `Cannot go by the plan: its shard "${key}" is gone`);
  });
}

/** Leaves in the store that this process is at its share, and why it did not end it. */
async function noted<T>(
  { store, clock, index, name }: ShareOptions,
  computation: string,
  task: () => Promise<T>,
): Promise<T> {
  const now = () => new Date(clock()).toISOString();
  const begun: JobShare = { version: 1, process: name, begunAt: now() };
  const note = (share: JobShare) =>
    store.put(jobShareKey(computation, index), JSON.stringify(share));
  await note(begun);
  try {
    return await task();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // What ended it is worth more than that it could not be noted.
    await note({ ...begun, failed: { at: now(), reason } }).catch(() => undefined);
    throw error;
  }
}

/** Takes the partials that are there; computes none. */
function collector({ store, job }: JobOptions, plan: JobPlan): ShardRunner {
  return async ({ computation, shards }) => {
    const { reports, missing } = await collectPartials(store, computation.name, shards);
    if (missing.length === 0) return reports;
    const named = await mapParallel(
      missing.slice(0, missingNamed),
      fleetStoreCallsAtOnce,
      (shard) => missingShard(store, shard, plan),
    );
    const more = missing.length - missingNamed;
    const rest = more > 0 ? `; and ${more} more` : '';
    const count = `${missing.length} of ${plan.shardKeys.length} shards`;
    const message = `Cannot merge job ${job}: ${count} are missing: ${named.join('; ')}${rest}`;
    throw new TidemarkError('BATCH_FAILED', message, { retryable: true });
  };
}

/** Which shard it is, and why there is nothing of it. */
async function missingShard(store: ObjectStore, shard: Shard, plan: JobPlan): Promise<string> {
  const { computation, processes } = plan;
  const index = shard.index % processes;
  const key = jobShareKey(computation, index);
  const bytes = await store.get(key);
  const who = `process ${index} of ${processes}`;
  if (!bytes) return `${shardName(shard)} (${who} has not begun)`;
  const { process, begunAt, failed } = parseJobShare(key, Buffer.from(bytes).toString());
  const begun = `${who}, ${process}, has begun at ${begunAt}`;
  if (!failed) return `${shardName(shard)} (${begun} and not ended)`;
  return `${shardName(shard)} (${begun} and failed at ${failed.at}: ${failed.reason})`;
}

const missingNamed = 10;

function nobody({ job }: JobOptions): ShardRunner {
  return () => {
    const message = `Cannot merge job ${job}: it has no plan; run \`tidemark batch shard\` first`;
    return Promise.reject(new TidemarkError('BATCH_FAILED', message));
  };
}

function watch({ log, onProgress, signal, period, of }: JobOptions, count: number) {
  let shardsDone = 0;
  return {
    onDone: (_: unknown, shardCount: number) => {
      shardsDone += 1;
      onProgress?.({ period, of, phase: 'compute', shardsDone, shardCount, rows: 0 });
    },
    onRetry: (shard: Shard, reason: string) =>
      log.warn({ period: period.name, of, shard: shard.index, reason, count }, 'shard failed once'),
    signal,
  };
}
