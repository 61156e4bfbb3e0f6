/**
 * Decides when what waits of a partition becomes a flush: by rows, by bytes, by age, and soon after the
 * end of the hour in which it was received; and when it is worth looking again. Pure: it reads no clock
 * and starts nothing.
 */
import { hourCloseMs, spoolLookMsMax } from '../../schemas/limits/archive.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Backlog } from '../sources/source.ts';

export type DueSettings = Pick<
  Settings,
  | 'TIDEMARK_FLUSH_ROWS'
  | 'TIDEMARK_FLUSH_AGE_MS'
  | 'TIDEMARK_SPOOL_FLUSH_AGE_MS'
  | 'TIDEMARK_ARCHIVE_POLL_MS'
>;

export interface DueState {
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** When the oldest record that waits was received, ms since 1970. */
  readonly oldestMs: number | undefined;
  /** Rows for each byte of OTLP in the flush before. */
  readonly rowsPerByte: number;
  readonly nowMs: number;
  /** Archive what waits now, whatever its age. */
  readonly once: boolean;
}

const hourMs = 3_600_000;

/** How long records of a partition wait for company at most, ms. `partition` is a number or `spool`. */
export function flushAgeMs(
  partition: string,
  settings: Pick<DueSettings, 'TIDEMARK_FLUSH_AGE_MS' | 'TIDEMARK_SPOOL_FLUSH_AGE_MS'>,
): number {
  const { TIDEMARK_FLUSH_AGE_MS: age, TIDEMARK_SPOOL_FLUSH_AGE_MS: spoolAge } = settings;
  return partition === 'spool' ? Math.min(age, spoolAge) : age;
}

/** Rows are known only after decoding; before, they are guessed from the flush before. */
export function isDue(
  backlog: Pick<Backlog, 'bytes' | 'waitingSinceMs' | 'full' | 'complete'>,
  state: DueState,
  settings: DueSettings,
): boolean {
  const { waitingSinceMs } = backlog;
  if (waitingSinceMs === undefined) return false;
  if (backlog.full || (state.once && backlog.complete)) return true;
  if (backlog.bytes * state.rowsPerByte >= settings.TIDEMARK_FLUSH_ROWS) return true;
  const ageMs = flushAgeMs(state.partition, settings);
  if (state.nowMs - waitingSinceMs >= ageMs) return true;
  return ageMs <= hourMs && isOfClosedHour(waitingSinceMs, state);
}

/** Part of the flush age after which an empty spool is looked at again: its keys say how old they are. */
const emptyShare = 1 / 4;

/**
 * Pause until the next look at what is not due yet, ms. A look at Kafka's records asks nobody; one at
 * the spool is a listing, and it comes no sooner than something can be due by age.
 */
export function pauseMs(
  waitingSinceMs: number | undefined,
  { partition, nowMs }: Pick<DueState, 'partition' | 'nowMs'>,
  settings: DueSettings,
): number {
  const { TIDEMARK_ARCHIVE_POLL_MS: pollMs } = settings;
  if (partition !== 'spool') return pollMs;
  const ageMs = flushAgeMs(partition, settings);
  const restMs = waitingSinceMs === undefined ? ageMs * emptyShare : waitingSinceMs + ageMs - nowMs;
  const leastMs = waitingSinceMs === undefined ? pollMs : 1;
  return Math.max(leastMs, Math.min(spoolLookMsMax, Math.ceil(restMs)));
}

/**
 * Whether an hour has closed that the oldest record is of. So hourly runs of the batch find the whole
 * hour in the archive, and a partition that is idle at times has one file for it. A backlog is of
 * hours long past: it counts only when it was here already at the close, so that it is cut once an
 * hour and not with every fetch.
 */
function isOfClosedHour(waitingSinceMs: number, { oldestMs, nowMs }: DueState): boolean {
  const closedMs = Math.floor((nowMs - hourCloseMs) / hourMs) * hourMs;
  return (oldestMs ?? waitingSinceMs) < closedMs && waitingSinceMs < closedMs + hourCloseMs;
}
