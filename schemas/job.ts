/**
 * The plan of a job: what several processes that were started together, such as the pods of an indexed Job of
 * Kubernetes, compute of one signal of one period. The first of them stores it by a conditional write, and all
 * go by it, whatever is archived meanwhile. Stored once, never changed.
 */
import { z } from 'zod';
import type { Signal } from './archive.ts';
import { SettingError, TidemarkError } from './errors.ts';
import { jsonOrUndefined } from './json.ts';
import { taskPrefix } from './task.ts';

const jobPlan = z.strictObject({
  version: z.literal(1),
  job: z.string(),
  signal: z.enum(['traces', 'metrics', 'logs']),
  /** Name of the period, such as `2026-11-21`. */
  period: z.string(),
  /** Processes that share the shards: number I of them has each shard whose place is I modulo this. */
  processes: z.int().positive(),
  plannedAt: z.iso.datetime(),
  computation: z.string(),
  codeVersion: z.string(),
  /** What figures depend on beside rows: the batch's `MergeOptions`. */
  merge: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  /** Whether it was computed although nothing had changed. */
  force: z.boolean(),
  /** What the run is recorded with. */
  input: z.strictObject({
    ownFiles: z.int().nonnegative(),
    commitKeys: z.array(z.string()),
    inputHash: z.string(),
    rowsRemoved: z.int().nonnegative(),
    watermarkMs: z.int(),
  }),
  rows: z.int().nonnegative(),
  /** Keys of the stored shards. */
  shardKeys: z.array(z.string()),
});

export type JobPlan = z.infer<typeof jobPlan>;

/** Where the plans of jobs lie, a folder for each job. */
export const jobsPrefix = '_jobs/';

/** Key of a job's plan of one signal. Throws `SettingError` for what cannot be a job's name. */
export function jobKey(job: string, signal: Signal): string {
  if (!/^[\w.-]{1,100}$/.test(job)) {
    const message = `Cannot use the job "${job}": wanted up to 100 letters, digits, ".", "_" and "-"`;
    throw new SettingError('job', message);
  }
  return `${jobsPrefix}${job}/${signal}.json.gz`;
}

/** Reads a plan. Throws CORRUPT_ARCHIVE. */
export function parseJobPlan(key: string, text: string): JobPlan {
  return checked(jobPlan, key, text);
}

const jobShare = z.strictObject({
  version: z.literal(1),
  /** Name of the process that took it last, for people. */
  process: z.string(),
  begunAt: z.iso.datetime(),
  /** Why that process computed no more. */
  failed: z.strictObject({ at: z.iso.datetime(), reason: z.string() }).optional(),
});

/** How far one process of a job is with its share, for whoever misses shards of it. */
export type JobShare = z.infer<typeof jobShare>;

/** Key of what the process of that number says of its share of a computation. */
export function jobShareKey(computation: string, index: number): string {
  return `${taskPrefix(computation)}share-${index}.json`;
}

/** Reads it. Throws CORRUPT_ARCHIVE. */
export function parseJobShare(key: string, text: string): JobShare {
  return checked(jobShare, key, text);
}

function checked<T>(schema: z.ZodType<T>, key: string, text: string): T {
  const parsed = schema.safeParse(jsonOrUndefined(text));
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  const message = `Cannot read "${key}": bad field "${field}"`;
  throw new TidemarkError('CORRUPT_ARCHIVE', message, { cause: parsed.error });
}
