/**
 * The replacement: the small immutable object by which files of an event hour take the place of
 * others, whole or not at all (compaction), or files go for good (retention). Commits stay as they
 * were written. Replacements of one hour of one signal are numbered without gaps: each is made in the
 * knowledge of all before it, and a conditional write gives each number to one writer only.
 *
 * Files of an hour that count = those that commits name, and outputs of replacements, without the
 * inputs of replacements. Whoever lists an hour lists its file keys first and its replacements after
 * that: it then sees each replacement whole. Inputs stay readable for a grace time behind
 * `replacedAt`; after that they may be deleted. Replacements themselves are never deleted: they say
 * which commits' rows the outputs hold.
 */
import { z } from 'zod';
import { hourPrefix } from './archive.ts';
import type { Signal } from './archive.ts';
import { commitFile } from './commit.ts';
import { TidemarkError } from './errors.ts';
import { jsonOrUndefined } from './json.ts';

const input = z.strictObject({
  key: z.string(),
  rows: z.int().positive(),
  bytes: z.int().positive(),
});

const output = z.strictObject({
  ...commitFile.shape,
  /** Tenants of the rows, sorted; left out where they are too many. */
  tenants: z.array(z.string()).optional(),
});

const replacement = z.strictObject({
  version: z.literal(1),
  signal: z.enum(['traces', 'metrics', 'logs']),
  /** Start of the event hour (UTC) whose files these are. */
  hourMs: z.int(),
  sequence: z.int().positive(),
  /**
   * `compaction`: the outputs hold the rows of the inputs, neither more nor fewer. `retention`: the
   * outputs hold those that stay. `void`: nothing is replaced; the number is taken, so that whoever
   * was to use it never will, and files stored for it may be deleted.
   */
  reason: z.enum(['compaction', 'retention', 'void']),
  /** Files of commits, or outputs of earlier replacements of the hour. */
  inputs: z.array(input),
  outputs: z.array(output),
  writer: z.string(),
  replacedAt: z.iso.datetime(),
  codeVersion: z.string(),
});

export type Replacement = z.infer<typeof replacement>;
export type ReplacementInput = z.infer<typeof input>;
export type ReplacementOutput = z.infer<typeof output>;

const root = '_replacements/';

/** Prefix of the replacements of one signal. Hours below it sort by time. */
export function replacementsPrefix(signal: Signal): string {
  return `${root}signal=${signal}/`;
}

/** Prefix of the replacements of one hour; their keys sort by number. */
export function replacementPrefix(signal: Signal, hourMs: number): string {
  return `${root}${hourPrefix(signal, hourMs)}`;
}

/** Key of a replacement. The first one of an hour has number 1. */
export function replacementKey(signal: Signal, hourMs: number, sequence: number): string {
  return replacementName(replacementPrefix(signal, hourMs), sequence);
}

/** Key of a replacement below an hour's prefix. */
export function replacementName(prefix: string, sequence: number): string {
  return `${prefix}${padSequence(sequence)}.json`;
}

/** The number that a replacement's key has, or `undefined` for a key that is none of ours. */
export function parseReplacementKey(key: string): number | undefined {
  const digits = /^_replacements\/signal=[^+]+\/hour=\d\d\/(\d{10})\.json$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface OutputKeyParts {
  /** Number of the replacement that the file was stored for, the only one that may name it. */
  readonly sequence: number;
  /** Unique to the attempt and, in it, to the file. */
  readonly attempt: string;
}

/** Key of a replacement's output: beside the files of commits, under a name that tells it apart. */
export function outputKey(signal: Signal, hourMs: number, parts: OutputKeyParts): string {
  const name = `replacement+${padSequence(parts.sequence)}+${parts.attempt}`;
  return `${hourPrefix(signal, hourMs)}${name}.parquet`;
}

/** The parts of an output's key, or `undefined` for any other key, files of commits included. */
export function parseOutputKey(key: string): OutputKeyParts | undefined {
  const match = /\/replacement\+(\d{10})\+([^/+]+)\.parquet$/.exec(key);
  const [, sequence, attempt] = match ?? [];
  if (!sequence || !attempt) return undefined;
  return { sequence: Number(sequence), attempt };
}

/**
 * Parses and checks a replacement: its fields, that it lies under its own key, that its files are of
 * its hour, and that rows add up. Throws `TidemarkError` CORRUPT_ARCHIVE naming the key.
 */
export function parseReplacement(key: string, text: string): Replacement {
  const value = jsonOrUndefined(text);
  if (value === undefined) throw corrupt(key, 'it is no JSON');
  const parsed = replacement.safeParse(value);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') ?? '';
    throw corrupt(key, `bad field "${where}"`, parsed.error);
  }
  const fault = faultOf(key, parsed.data);
  if (fault !== undefined) throw corrupt(key, fault);
  return parsed.data;
}

function faultOf(key: string, found: Replacement): string | undefined {
  const { signal, hourMs, sequence, inputs, outputs } = found;
  if (replacementKey(signal, hourMs, sequence) !== key) return 'its key is of another hour';
  const folder = hourPrefix(signal, hourMs);
  const keys = [...inputs, ...outputs].map((file) => file.key);
  if (keys.some((own) => !own.startsWith(folder))) return 'a file is of another hour';
  if (new Set(keys).size !== keys.length) return 'it names a file twice';
  if (outputs.some((file) => parseOutputKey(file.key)?.sequence !== sequence)) {
    return 'an output is of another replacement';
  }
  return countFault(found);
}

function countFault({ reason, inputs, outputs }: Replacement): string | undefined {
  if (reason === 'void') {
    return inputs.length + outputs.length > 0 ? 'it is void and names files' : undefined;
  }
  if (inputs.length === 0) return 'it has no inputs';
  const [before, after] = [rowsOf(inputs), rowsOf(outputs)];
  if (reason === 'retention' && after < before) return undefined;
  if (reason === 'compaction' && after === before) return undefined;
  return `${reason} made ${after} rows of ${before}`;
}

/** Rows of all files together. */
export function rowsOf(files: readonly { readonly rows: number }[]): number {
  return files.reduce((sum, { rows }) => sum + rows, 0);
}

function corrupt(key: string, reason: string, cause?: unknown): TidemarkError {
  const message = `Cannot read replacement "${key}": ${reason}`;
  return new TidemarkError('CORRUPT_ARCHIVE', message, { cause });
}

function padSequence(sequence: number): string {
  return String(sequence).padStart(10, '0');
}
