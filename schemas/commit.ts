/**
 * The commit: the small immutable object that makes archive files real (DESIGN.md, decision 4).
 * Offsets are decimal strings, because JSON numbers lose them past 2^53.
 */
import { z } from 'zod';
import { TidemarkError } from './errors.ts';
import { jsonOrUndefined } from './json.ts';

const decimal = z.string().regex(/^-?\d{1,20}$/);

const rowGroup = z.strictObject({
  rows: z.int().positive(),
  /** Lower-case hex of the least and greatest id in the file's first column, as in `TraceId`. */
  idMin: z.string().regex(/^[0-9a-f]{32}$/),
  idMax: z.string().regex(/^[0-9a-f]{32}$/),
});

/** What a commit, or a replacement, says of one file. */
export const commitFile = z.strictObject({
  key: z.string(),
  bytes: z.int().positive(),
  rows: z.int().positive(),
  /** Start of the event hour (UTC) that the file lies under. */
  hourMs: z.int(),
  /** Event time range of the rows, nanoseconds since 1970. */
  timeMinNs: decimal,
  timeMaxNs: decimal,
  /** True when the rows' own times were too wild to be an hour's: it lies under its receive hour. */
  quarantined: z.boolean(),
  rowGroups: z.array(rowGroup).min(1),
});

/**
 * What became of the records of one tenant, by the minute (since 1970) in which they were received:
 * `[minute, records, rows, rejected items, records set aside]`.
 */
const commitCount = z.strictObject({
  /** Empty for records that name none. */
  tenant: z.string(),
  /** `edge`: the edge received them, and the minute is of its clock; else it is the broker's. */
  origin: z.enum(['edge', 'other']),
  minutes: z.array(z.tuple([z.int(), z.int(), z.int(), z.int(), z.int()])),
});

const commit = z.strictObject({
  version: z.literal(1),
  topic: z.string(),
  partition: z.string(),
  /** Offsets [first, next) of the records that this commit holds. */
  firstOffset: decimal,
  nextOffset: decimal,
  rows: z.int().nonnegative(),
  /** Spans that were refused, by reason. */
  rejected: z.record(z.string(), z.int().positive()),
  /** For the ledger; commits of earlier versions have none. */
  counts: z.array(commitCount).optional(),
  files: z.array(commitFile),
  /**
   * Every record of this partition that was received before this time (ms since 1970) is in this
   * commit or an earlier one.
   */
  watermarkMs: z.int(),
  /** Largest broker (or receive) time of the records in this commit. */
  ingestedMaxMs: z.int(),
  /** Spool objects that this commit consumed; they are deleted after it. */
  spoolKeys: z.array(z.string()),
  writer: z.string(),
  committedAt: z.iso.datetime(),
  codeVersion: z.string(),
});

export type Commit = z.infer<typeof commit>;
export type CommitCount = z.infer<typeof commitCount>;
export type CommitFile = z.infer<typeof commitFile>;
export type CommitRowGroup = z.infer<typeof rowGroup>;

/** Prefix of one partition's commits. The first key under it is the newest commit. */
export function commitPrefix(topic: string, partition: string): string {
  return `_commits/${topic}/${partition}/`;
}

const offsetMax = 9_223_372_036_854_775_807n;

/**
 * Key of the commit whose first offset is `firstOffset`. The number in it counts down from 2^63-1,
 * so that a listing returns the newest commit first: one request finds it, however long the history.
 */
export function commitKey(topic: string, partition: string, firstOffset: bigint): string {
  const descending = (offsetMax - firstOffset).toString().padStart(19, '0');
  return `${commitPrefix(topic, partition)}${descending}.json`;
}

/** Topic, partition and first offset of a commit's key, or `undefined` for a key that is none of ours. */
export function parseCommitKey(
  key: string,
):
  { readonly topic: string; readonly partition: string; readonly firstOffset: bigint } | undefined {
  const [, topic, partition, digits] =
    /^_commits\/([^/]+)\/([^/]+)\/(\d{19})\.json$/.exec(key) ?? [];
  if (!topic || !partition || !digits) return undefined;
  return { topic, partition, firstOffset: offsetMax - BigInt(digits) };
}

/**
 * Prefix of one partition's watermarks. An idle partition has nothing to commit, yet its watermark
 * must move on: that is told by small objects beside the log. The first key is the greatest.
 */
export function watermarkPrefix(topic: string, partition: string): string {
  return `_watermarks/${topic}/${partition}/`;
}

const timeMaxMs = 9_999_999_999_999;

/** Key that says: every record of this partition received before `watermarkMs` is committed. */
export function watermarkKey(topic: string, partition: string, watermarkMs: number): string {
  const descending = String(timeMaxMs - watermarkMs).padStart(13, '0');
  return `${watermarkPrefix(topic, partition)}${descending}.json`;
}

/** The watermark that a key states, ms since 1970, or `undefined` for a key that is none of ours. */
export function parseWatermarkKey(key: string): number | undefined {
  const descending = /^_watermarks\/[^/]+\/[^/]+\/(\d{13})\.json$/.exec(key)?.[1];
  return descending === undefined ? undefined : timeMaxMs - Number(descending);
}

/**
 * Text of the watermark 0 that registers a partition of which nothing is archived yet. It holds every
 * period back until more is known. `seenMs`: when it was seen first, ms since 1970.
 */
export function registrationText(topic: string, partition: string, seenMs: number): string {
  return JSON.stringify({ version: 1, topic, partition, watermarkMs: 0, seenMs });
}

/** When a partition was registered, ms since 1970; 0 when the text does not say so. */
export function parseRegistration(text: string): number {
  const parsed = z.object({ seenMs: z.int() }).safeParse(jsonOrUndefined(text));
  return parsed.success ? parsed.data.seenMs : 0;
}

/** Parses and checks a commit. Throws `TidemarkError` CORRUPT_ARCHIVE naming the key. */
export function parseCommit(key: string, text: string): Commit {
  const value = jsonOrUndefined(text);
  const parsed = commit.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  const reason = value === undefined ? 'it is no JSON' : `bad field "${where}"`;
  throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read commit "${key}": ${reason}`, {
    cause: parsed.error,
  });
}
