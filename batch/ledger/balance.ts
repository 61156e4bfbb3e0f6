/**
 * Judges what the sides say of a minute: whether received = archived + rejected, and what each difference is called.
 * Pure: the same sums give the same names.
 */
import type { MinuteSums } from './match.ts';

/** What a difference may be, with what to do about it. Faults first; `notices` explain and need nothing. */
export const differenceKinds = {
  lost_before_archive: {
    title: 'lost before the archive',
    hint: 'Kafka or the spool lost records that were acknowledged: see retention of the topic, and who deletes in the bucket',
    weight: 'fault',
  },
  set_aside_by_archiver: {
    title: 'set aside by the archiver',
    hint: 'requests that could not be archived lie under _dead/<topic>/, their reason beside them',
    weight: 'fault',
  },
  file_gone: {
    title: 'archived, and the file is gone',
    hint: 'somebody deletes in the bucket: restore the file, or "tidemark replay" from another copy',
    weight: 'fault',
  },
  not_counted_at_edge: {
    title: 'archived, not counted at the edge',
    hint: 'an isolate of the edge ended before it had written its notes, or notes were deleted; no telemetry is lost',
    weight: 'fault',
  },
  judged_otherwise: {
    title: 'rejected otherwise by the archiver',
    hint: 'edge and archiver run different versions or limits (TIDEMARK_ATTRIBUTES_MAX)',
    weight: 'fault',
  },
  missing_in_speed: {
    title: 'missing in the speed layer',
    hint: '"tidemark repair" inserts them from the archive',
    weight: 'fault',
  },
  duplicated_in_speed: {
    title: 'duplicated in the speed layer',
    hint: '"tidemark repair" removes them; figures of the batch have them once',
    weight: 'fault',
  },
  refused_by_clickhouse: {
    title: 'refused by ClickHouse, set aside',
    hint: 'rows lie under _dead/speed/<table>/, the reason beside them; moved back to spool/speed/<table>/ they are tried again',
    weight: 'fault',
  },
  only_in_speed: {
    title: 'in the speed layer alone',
    hint: 'something else writes to the speed tables, such as a Collector, or both other sides lost the request',
    weight: 'fault',
  },
  in_spool: {
    title: 'in the spool, not drained',
    hint: 'the drain moves them as soon as ClickHouse takes them: see tidemark_edge_spool_oldest_age_seconds',
    weight: 'waiting',
  },
  not_counted_by_archiver: {
    title: 'archived by a version that did not count',
    hint: 'minutes near these cannot be compared; nothing to do',
    weight: 'notice',
  },
  sent_again: {
    title: 'sent again, kept once in the speed layer',
    hint: 'ClickHouse knew the request by its token; nothing to do',
    weight: 'notice',
  },
  stored_though_refused: {
    title: 'stored, though the client was told to send again',
    hint: 'the batch removes what came twice; nothing to do',
    weight: 'notice',
  },
} as const satisfies Record<string, DifferenceText>;

export interface DifferenceText {
  readonly title: string;
  readonly hint: string;
  /** A fault is an alert; what waits will go away by itself; a notice explains a number. */
  readonly weight: 'fault' | 'waiting' | 'notice';
}

export type DifferenceKind = keyof typeof differenceKinds;

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
