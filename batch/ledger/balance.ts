/**
 * Judges what the sides say of a minute: whether received = archived + rejected, and what each difference is called.
 * Pure: the same sums give the same names.
 */
import type { DifferenceKind } from '../../schemas/difference.ts';
import type { MinuteSums } from './match.ts';

export type Differences = Partial<Record<DifferenceKind, number>>;

/** A minute that was judged. */
export interface LedgerMinute extends MinuteSums {
  readonly isSettled: boolean;
  readonly differences: Differences;
}

export interface Standing {
  /** Everything received before this is noted and archived, ms since 1970; later minutes are open. */
  readonly settledMs: number;
  /** Until then, ms since 1970, archivers did not count by minute: what is missing there is not known to be. */
  readonly countedFromMs: number;
}

const minuteMs = 60_000;

/** The minute with its differences; of one that is not settled none are told. */
export function judge(sums: MinuteSums, { settledMs, countedFromMs }: Standing): LedgerMinute {
  const isSettled = sums.minuteMs + minuteMs <= settledMs;
  if (!isSettled) return { ...sums, isSettled, differences: {} };
  const isCounted = sums.minuteMs >= countedFromMs;
  const { unnoted, ...found } = archiveSide(sums, isCounted);
  const differences = { ...found, ...speedSide(sums, unnoted) };
  const told = Object.entries(differences).filter(([, items]) => items > 0);
  return { ...sums, isSettled, differences: Object.fromEntries(told) };
}

/** `unnoted`: items that the archive has and the edge did not count. */
function archiveSide(sums: MinuteSums, isCounted: boolean) {
  const { given, unsure, archived, dead, uncounted } = sums;
  const lost = isCounted ? Math.max(0, given - archived) : 0;
  const extra = Math.max(0, archived - given);
  const explained = Math.min(extra, unsure);
  const isEqual = archived === given;
  return {
    lost_before_archive: dead > 0 ? 0 : lost,
    set_aside_by_archiver: dead > 0 ? lost : 0,
    stored_though_refused: Math.max(explained, sums.storedThoughRefused),
    not_counted_at_edge: extra - explained,
    not_counted_by_archiver: uncounted,
    judged_otherwise: isEqual ? Math.abs(sums.givenRejected - sums.archivedRejected) : 0,
    unnoted: extra - explained,
  };
}

function speedSide(sums: MinuteSums, unnoted: number) {
  return {
    missing_in_speed: sums.missing,
    duplicated_in_speed: sums.duplicated,
    in_spool: sums.inSpool,
    refused_by_clickhouse: sums.setAside,
    sent_again: sums.keptOnce,
    // What the archive has as well was only not counted.
    only_in_speed: Math.max(0, sums.unnoted - unnoted),
  };
}
