/**
 * One event hour as the archive has it, and the step that replaces files of it. Never deletes a file
 * that a replacement may name.
 */
import { topics, type Signal } from '../../schemas/archive.ts';
import {
  parseReplacement,
  replacementKey,
  type Replacement,
  type ReplacementOutput,
} from '../../schemas/replacement.ts';
import { listLiveFiles, type PeriodFile, type LiveFiles } from '../clients/archive.ts';
import { putOnce, type ClaimOutcome } from '../clients/claim.ts';
import type { ObjectStore } from '../clients/objects.ts';

export const hourMsEach = 3_600_000;

/** The live files of one hour, and the number of its newest replacement. */
export interface HourState {
  readonly signal: Signal;
  readonly hourMs: number;
  readonly files: readonly PeriodFile[];
  readonly sequence: number;
}

/** The hours of a period that have files, oldest first. */
export function hoursOf(signal: Signal, period: LiveFiles): HourState[] {
  const sequences = new Map(period.replacements.map((found) => [found.hourMs, found.sequence]));
  return [...Map.groupBy(period.files, ({ hourMs }) => hourMs)]
    .map(([hourMs, files]) => ({ signal, hourMs, files, sequence: sequences.get(hourMs) ?? 0 }))
    .toSorted((a, b) => a.hourMs - b.hourMs);
}

/** The hour as it is now. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
export async function readHour(
  store: ObjectStore,
  signal: Signal,
  hourMs: number,
): Promise<HourState> {
  const period = await listLiveFiles(store, signal, hourMs, hourMs + hourMsEach);
  const sequence = period.replacements.at(-1)?.sequence ?? 0;
  return { signal, hourMs, files: period.files, sequence };
}

export interface ReplaceOptions {
  readonly reason: 'compaction' | 'retention';
  readonly inputs: readonly PeriodFile[];
  readonly outputs: readonly ReplacementOutput[];
  readonly writer: string;
  /** ms since 1970. */
  readonly nowMs: number;
  readonly codeVersion: string;
}

/**
 * Puts the outputs in the place of the inputs, for every reader at once, if nobody else has replaced
 * anything in the hour since `state` was read. Any error but CORRUPT_ARCHIVE leaves open whether it
 * happened: the outputs must stay. Throws CORRUPT_ARCHIVE, having done nothing, when rows do not
 * add up.
 */
export async function replaceFiles(
  store: ObjectStore,
  state: HourState,
  options: ReplaceOptions,
): Promise<ClaimOutcome> {
  const { signal, hourMs, sequence } = state;
  const replacement: Replacement = {
    version: 1,
    signal,
    hourMs,
    sequence: sequence + 1,
    reason: options.reason,
    inputs: options.inputs.map(({ key, rows, bytes }) => ({ key, rows, bytes })),
    outputs: [...options.outputs],
    writer: options.writer,
    replacedAt: new Date(options.nowMs).toISOString(),
    codeVersion: options.codeVersion,
  };
  const key = replacementKey(signal, hourMs, sequence + 1);
  const text = JSON.stringify(replacement);
  // What readers would refuse must not be stored.
  parseReplacement(key, text);
  return putOnce(store, key, text);
}

/** The hour after the replacement that `replaceFiles` won. */
export function stateAfter(state: HourState, options: ReplaceOptions): HourState {
  const { signal, sequence } = state;
  const gone = new Set(options.inputs.map(({ key }) => key));
  const partitions = [...new Set(options.inputs.flatMap((input) => input.partitions))].toSorted();
  const added = options.outputs.map((output) => ({ ...output, topic: topics[signal], partitions }));
  const files = [...state.files.filter(({ key }) => !gone.has(key)), ...added];
  return { ...state, files, sequence: sequence + 1 };
}
