/** Writes the result of `tidemark status` for people. Only formats. */
import { table } from '../dev/table.ts';

export interface StatusReport {
  readonly services: readonly {
    readonly name: string;
    readonly url: string;
    /** Why it cannot be used, if it cannot. */
    readonly error: string | undefined;
  }[];
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: string;
    readonly nextOffset: string;
    readonly watermarkMs: number;
    /** First offset of the newest commit. */
    readonly headOffset: string | undefined;
    readonly committedAt: string | undefined;
  }[];
  readonly spools: readonly {
    readonly topic: string;
    readonly objects: number;
    readonly bytes: number;
    readonly oldestMs: number | undefined;
    readonly more: boolean;
  }[];
  /** Current runs of days, newest first. */
  readonly runs: readonly {
    readonly date: string;
    readonly runId: string;
    readonly isFinal: boolean;
    readonly totalSpans: number;
    readonly duplicateSpans: number;
    readonly publishedAt: string;
  }[];
  /** Days that the next batch would compute. */
  readonly due: readonly { readonly date: string; readonly reason: string }[];
}

const reasons: Readonly<Record<string, string>> = {
  missing: 'never computed',
  changed: 'dirty: late data arrived',
  complete: 'provisional, complete by now',
};

/** The whole status as tables. `nowMs` is in ms since 1970. */
export function describe(report: StatusReport, nowMs: number): string {
  return [
    table(
      [{ title: 'service' }, { title: 'state' }, { title: 'address' }],
      report.services.map(({ name, url, error }) => [name, error ?? 'up', url]),
    ),
    partitions(report, nowMs),
    spools(report, nowMs),
    runs(report),
    due(report),
  ].join('\n');
}

function partitions(report: StatusReport, nowMs: number): string {
  if (report.partitions.length === 0) return 'Nothing is archived yet.\n';
  return table(
    [
      { title: 'topic' },
      { title: 'partition' },
      { title: 'next offset', align: 'right' },
      { title: 'head commit', align: 'right' },
      { title: 'committed' },
      { title: 'watermark' },
    ],
    report.partitions.map((state) => [
      state.topic,
      state.partition,
      state.nextOffset,
      state.headOffset ?? 'none',
      state.committedAt ?? 'never',
      state.watermarkMs === 0 ? 'unknown' : `${age(nowMs - state.watermarkMs)} behind`,
    ]),
  );
}

function spools(report: StatusReport, nowMs: number): string {
  return table(
    [
      { title: 'spool' },
      { title: 'objects', align: 'right' },
      { title: 'bytes', align: 'right' },
      { title: 'oldest' },
    ],
    report.spools.map(({ topic, objects, bytes, oldestMs, more }) => [
      topic,
      `${objects}${more ? ' or more' : ''}`,
      String(bytes),
      oldestMs === undefined ? 'empty' : `${age(nowMs - oldestMs)} ago`,
    ]),
  );
}

function runs(report: StatusReport): string {
  if (report.runs.length === 0) return 'No day is published yet.\n';
  return table(
    [
      { title: 'day' },
      { title: 'state' },
      { title: 'spans', align: 'right' },
      { title: 'duplicates', align: 'right' },
      { title: 'published (UTC)' },
      { title: 'run' },
    ],
    report.runs.map((run) => [
      run.date,
      run.isFinal ? 'final' : 'provisional',
      String(run.totalSpans),
      String(run.duplicateSpans),
      run.publishedAt,
      run.runId,
    ]),
  );
}

function due(report: StatusReport): string {
  if (report.due.length === 0) return 'No day is due.\n';
  return table(
    [{ title: 'due day' }, { title: 'why' }],
    report.due.map(({ date, reason }) => [date, reasons[reason] ?? reason]),
  );
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
