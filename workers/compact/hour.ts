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
import { listLiveFiles, type PeriodFile, type LiveFiles } from '../clients/commits/archive.ts';
import { putOnce } from '../clients/commits/claim.ts';
import { firstKey } from '../clients/store/first.ts';
import type { ObjectStore } from '../clients/store/objects.ts';

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

/**
 * Start of the oldest hour that has a file, ms since 1970; `undefined` for an empty archive. One
 * listing of one key.
 */
export async function firstHour(store: ObjectStore, signal: Signal): Promise<number | undefined> {
  const key = await firstKey(store, `signal=${signal}/`);
  const match = /year=(\d+)\/month=(\d+)\/day=(\d+)\/hour=(\d+)\//.exec(key ?? '');
  if (!match) return undefined;
  const [, year, month, day, hour] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:00:00Z`);
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

/** What takes the place of what. */
export interface Exchange {
  readonly reason: 'compaction' | 'retention';
  readonly inputs: readonly PeriodFile[];
  readonly outputs: readonly ReplacementOutput[];
  readonly writer: string;
  /** ms since 1970. */
  readonly nowMs: number;
  readonly codeVersion: string;
}

/**
 * Puts the outputs in the place of the inputs, for every reader at once. False when somebody else has
 * replaced files of the hour since `state` was read; then, and when rows do not add up, which is
 * CORRUPT_ARCHIVE, the outputs are deleted. Any other error leaves open whether it happened: the
 * outputs stay.
 */
export async function replaceFiles(
  store: ObjectStore,
  state: HourState,
  exchange: Exchange,
): Promise<boolean> {
  const { signal, hourMs, sequence } = state;
  const key = replacementKey(signal, hourMs, sequence + 1);
  const text = JSON.stringify(replacementOf(state, exchange));
  const drop = () => store.delete(exchange.outputs.map((output) => output.key));
  try {
    // What readers would refuse must not be stored.
    parseReplacement(key, text);
  } catch (error) {
    await drop();
    throw error;
  }
  const outcome = await putOnce(store, key, text);
  if (outcome === 'lost') await drop();
  return outcome === 'won';
}

function replacementOf({ signal, hourMs, sequence }: HourState, exchange: Exchange): Replacement {
  const { reason, inputs, outputs, writer, nowMs, codeVersion } = exchange;
  return {
    version: 1,
    signal,
    hourMs,
    sequence: sequence + 1,
    reason,
    inputs: inputs.map(({ key, rows, bytes }) => ({ key, rows, bytes })),
    outputs: [...outputs],
    writer,
    replacedAt: new Date(nowMs).toISOString(),
    codeVersion,
  };
}

/** The hour after the replacement that `replaceFiles` won. */
export function stateAfter(state: HourState, options: Exchange): HourState {
  const { signal, sequence } = state;
  const gone = new Set(options.inputs.map(({ key }) => key));
  const partitions = [...new Set(options.inputs.flatMap((input) => input.partitions))].toSorted();
  const added = options.outputs.map((output) => ({ ...output, topic: topics[signal], partitions }));
  const files = [...state.files.filter(({ key }) => !gone.has(key)), ...added];
  return { ...state, files, sequence: sequence + 1 };
}
