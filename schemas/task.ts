/**
 * What the coordinator of a batch fleet and its workers say to each other: tasks, which travel through
 * Kafka, and what lies in the object store beside a shard's partial: the shard itself, its parts, starts
 * and failures. A task only names its shard, because one of a large day reads thousands of files.
 */
import { z } from 'zod';
import type { Signal } from './archive.ts';
import { TidemarkError } from './errors.ts';
import { jsonOrUndefined } from './json.ts';
import { partialKey, type Shard, type ShardRange } from './shard.ts';

/** Ids are hexadecimal, because JSON numbers lose them; the end of their space has 33 digits. */
const id = z.string().regex(/^[0-9a-f]{32,33}$/);

const name = z.string().min(1).max(200);

const task = z.strictObject({
  version: z.literal(1),
  /** Of the code that is to compute it; workers of another one leave it to their group. */
  codeVersion: name,
  computation: name,
  /** The coordinator's attempt at the computation. Its object says whether anybody still waits. */
  attempt: name,
  /** 1 for the first try of the shard in this attempt. */
  tryNumber: z.int().positive(),
  /** Key of the stored shard, and the part of it that this task is of. */
  shardKey: z.string().min(1).max(1000),
  idFrom: id,
  idTo: id,
  publishedAt: z.iso.datetime(),
});

export type ShardTask = z.infer<typeof task>;

/** A task, or why a record is none. */
export type ParsedTask =
  | { readonly type: 'task'; readonly task: ShardTask }
  | { readonly type: 'poison'; readonly reason: string };

/** Reads the value of a record of the tasks' topic. */
export function parseTask(value: Uint8Array | null): ParsedTask {
  if (value === null) return poison('it has no value');
  const json = jsonOrUndefined(Buffer.from(value).toString());
  if (json === undefined) return poison('it is not JSON');
  const parsed = task.safeParse(json);
  if (parsed.success) return { type: 'task', task: parsed.data };
  const version = z.object({ version: z.unknown() }).safeParse(json).data?.version;
  if (version !== undefined && version !== 1) {
    return poison(`its version is ${JSON.stringify(version)}, known is 1`);
  }
  return poison(`bad field "${fieldOf(parsed.error)}"`);
}

function poison(reason: string): ParsedTask {
  return { type: 'poison', reason };
}

/** An id as it stands in texts: 32 digits at least. */
export function idText(value: bigint): string {
  return value.toString(16).padStart(32, '0');
}

/** The number of such a text. */
export function parseId(text: string): bigint {
  return BigInt(`0x${text}`);
}

/** Names of the object store that a computation's partial goes by, without the ending. */
function stem(computation: string, shard: Shard): string {
  return partialKey(computation, shard).replace(/\.bin$/, '');
}

/** Key of the parts of a shard that does not fit into memory: the first ones that anybody stored. */
export function splitKey(computation: string, shard: Shard): string {
  return `${stem(computation, shard)}.split.json`;
}

/** Key of the failure of one try in one attempt. */
export function failureKey(shard: Shard, { computation, attempt, tryNumber }: TryOfTask): string {
  return `${stem(computation, shard)}.failed-${attempt}-${tryNumber}.json`;
}

type TryOfTask = Pick<ShardTask, 'computation' | 'attempt' | 'tryNumber'>;

/** What the keys of all starts of a try begin with. */
export function startPrefix(shard: Shard, { computation, attempt, tryNumber }: TryOfTask): string {
  return `${stem(computation, shard)}.start-${attempt}-${tryNumber}-`;
}

/**
 * Key of one start of a try; `own` tells it from others. Who dies leaves it behind, who ends the shard
 * removes it.
 */
export function startKey(shard: Shard, tried: TryOfTask, own: string): string {
  return `${startPrefix(shard, tried)}${own}.json`;
}

const startPattern = /^(.*)\.start-[^/]*\.json$/;

/** The key of the partial whose computation a start key tells of; `undefined` for other keys. */
export function partialOfStart(key: string): string | undefined {
  const found = startPattern.exec(key)?.[1];
  return found === undefined ? undefined : `${found}.bin`;
}

/** Where what fleets are given lies, a folder for each computation. */
export const tasksPrefix = '_tasks/';

/** Prefix of what a fleet is given to compute of one computation. */
export function taskPrefix(computation: string): string {
  return `${tasksPrefix}${computation}/`;
}

/** Key of a stored shard. Named as its partial is: by what it says. */
export function storedShardKey(computation: string, shard: Shard): string {
  return `${taskPrefix(computation)}${stem(computation, shard).split('/').at(-1) ?? ''}.json.gz`;
}

/** Key of the object that says until when somebody waits for an attempt's results. */
export function attemptKey(computation: string, attempt: string): string {
  return `${taskPrefix(computation)}attempt-${attempt}.json`;
}

const part = z.strictObject({ idFrom: id, idTo: id, estimatedRows: z.int().nonnegative() });

const split = z.strictObject({ version: z.literal(1), parts: z.array(part).min(2) });

/** The text of a split: where the parts begin and end, for they read the same files. */
export function splitText(parts: readonly Shard[]): string {
  return JSON.stringify({
    version: 1,
    parts: parts.map(({ idFrom, idTo, estimatedRows }) => ({
      idFrom: idText(idFrom),
      idTo: idText(idTo),
      estimatedRows,
    })),
  });
}

/** The parts of `shard` that such a text says. Throws CORRUPT_ARCHIVE. */
export function parseSplit(key: string, text: string, shard: Shard): Shard[] {
  return checked(split, key, text).parts.map(({ idFrom, idTo, estimatedRows }) => ({
    ...shard,
    idFrom: parseId(idFrom),
    idTo: parseId(idTo),
    estimatedRows,
  }));
}

const failure = z.strictObject({
  version: z.literal(1),
  worker: z.string(),
  reason: z.string(),
  /** Whether another try may succeed. */
  retryable: z.boolean(),
  failedAt: z.iso.datetime(),
});

export type ShardFailure = z.infer<typeof failure>;

/** Reads the failure of a try. Throws CORRUPT_ARCHIVE. */
export function parseFailure(key: string, text: string): ShardFailure {
  return checked(failure, key, text);
}

const attemptState = z.strictObject({
  version: z.literal(1),
  /** When its coordinator last said that it waits, ms since 1970. */
  aliveMs: z.int(),
  coordinator: z.string(),
});

export type AttemptState = z.infer<typeof attemptState>;

/** Reads what a coordinator says of itself. Throws CORRUPT_ARCHIVE. */
export function parseAttempt(key: string, text: string): AttemptState {
  return checked(attemptState, key, text);
}

const file = z.strictObject({
  key: z.string(),
  bytes: z.int().positive(),
  hourMs: z.int(),
  rowGroups: z.array(z.int().nonnegative()),
});

const storedShard = z.strictObject({
  version: z.literal(1),
  computation: name,
  signal: z.enum(['traces', 'metrics', 'logs']),
  /** Name of the period, such as `2026-11-21`. */
  period: name,
  /** What figures depend on beside rows: the batch's `MergeOptions`. */
  merge: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  index: z.int().nonnegative(),
  estimatedRows: z.int().nonnegative(),
  idFrom: id,
  idTo: id,
  files: z.array(file),
});

/** A shard as whoever computes it is given it. */
export interface StoredShard {
  readonly computation: string;
  readonly signal: Signal;
  readonly period: string;
  readonly merge: Readonly<Record<string, number | string | boolean>>;
  readonly shard: Shard;
}

/** Its text. */
export function storedShardText({ shard, ...rest }: StoredShard): string {
  const { idFrom, idTo, ...others } = shard;
  const range = { idFrom: idText(idFrom), idTo: idText(idTo) };
  return JSON.stringify({ version: 1, ...rest, ...others, ...range });
}

/** Reads a stored shard. Throws CORRUPT_ARCHIVE. */
export function parseStoredShard(key: string, text: string): StoredShard {
  const parsed = checked(storedShard, key, text);
  const { computation, signal, period, merge, index, estimatedRows, files } = parsed;
  const range: ShardRange = { idFrom: parseId(parsed.idFrom), idTo: parseId(parsed.idTo), files };
  return { computation, signal, period, merge, shard: { index, estimatedRows, ...range } };
}

function checked<T>(schema: z.ZodType<T>, key: string, text: string): T {
  const parsed = schema.safeParse(jsonOrUndefined(text));
  if (parsed.success) return parsed.data;
  const message = `Cannot read "${key}": bad field "${fieldOf(parsed.error)}"`;
  throw new TidemarkError('CORRUPT_ARCHIVE', message, { cause: parsed.error });
}

function fieldOf(error: z.ZodError): string {
  return error.issues[0]?.path.join('.') ?? '';
}
