/** The names of the ledger's differences, what each means and what to do about it. Only data. */

/** What a difference may be, with what to do about it. Faults first. */
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
  removed_by_repair: {
    title: 'removed by a repair, because they were there twice',
    hint: 'other requests brought the same items; nothing to do',
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
