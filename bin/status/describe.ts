/** Writes the result of `tidemark status` for people. Only formats. */
import { table } from '../../dev/table.ts';
import { describeMs } from '../duration.ts';
import type { Holder, PeriodReport } from './judge.ts';
import type { StatusReport } from './read.ts';

const reasons: Readonly<Record<string, string>> = {
  missing: 'never computed',
  changed: 'dirty: late data arrived',
  complete: 'provisional, complete by now',
};

/** The whole status as tables. `nowMs` is in ms since 1970. */
export function describe(report: StatusReport, nowMs: number): string {
  const isUp = (wanted: string) =>
    report.services.some(({ name, error }) => name === wanted && error === undefined);
  return [
    table(
      [{ title: 'service' }, { title: 'state' }, { title: 'address' }],
      report.services.map(({ name, url, error }) => [name, error ?? 'up', url]),
    ),
    ...(isUp('object store')
      ? [signals(report, nowMs), partitions(report, nowMs), spools(report, nowMs), dead(report)]
      : ['How far the archive is cannot be read.\n']),
    ...(report.periods.length > 0 ? [periods(report, nowMs)] : []),
    ...(isUp('ClickHouse') ? [runs(report), due(report)] : []),
    schedule(report, nowMs),
    report.damage.map((damage) => `Damaged: ${damage}\n`).join(''),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function signals(report: StatusReport, nowMs: number): string {
  return table(
    [{ title: 'signal' }, { title: 'all archived up to (UTC)' }, { title: 'held back by' }],
    report.signals.map(({ signal, completeUpToMs, heldBy }) => [
      signal,
      completeUpToMs === 0 ? 'unknown' : minuteOf(completeUpToMs),
      holders(heldBy, nowMs),
    ]),
  );
}

function partitions(report: StatusReport, nowMs: number): string {
  if (report.partitions.length === 0) return 'Nothing is archived yet.\n';
  return table(
    [
      { title: 'topic' },
      { title: 'partition' },
      { title: 'state' },
      { title: 'next offset', align: 'right' },
      { title: 'lag', align: 'right' },
      { title: 'oldest', align: 'right' },
      { title: 'watermark', align: 'right' },
      { title: 'last commit', align: 'right' },
      { title: 'rows', align: 'right' },
      { title: 'writer' },
    ],
    report.partitions.map((state) => [
      state.topic,
      state.partition,
      state.lostRecords > 0 ? `${state.condition}, ${state.lostRecords} lost` : state.condition,
      state.condition === 'unreadable' ? '?' : state.nextOffset,
      state.lagRecords === undefined ? '?' : String(state.lagRecords),
      state.lagSeconds ? describeMs(state.lagSeconds * 1000) : '',
      state.watermarkMs === 0 ? 'none' : `${describeMs(nowMs - state.watermarkMs)} ago`,
      state.committedAt ? `${describeMs(nowMs - Date.parse(state.committedAt))} ago` : 'never',
      state.commitRows === undefined ? '' : String(state.commitRows),
      state.writer ?? '',
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
      oldestMs === undefined ? 'empty' : `${describeMs(nowMs - oldestMs)} ago`,
    ]),
  );
}

/** Nothing when nothing was set aside. */
function dead(report: StatusReport): string {
  const found = report.dead.filter(({ objects }) => objects > 0);
  if (found.length === 0) return '';
  return table(
    [{ title: 'set aside' }, { title: 'objects', align: 'right' }, { title: 'under' }],
    found.map(({ name, objects, more, prefix }) => [
      name === 'speed' ? 'rows for ClickHouse' : name,
      `${objects}${more ? ' or more' : ''}`,
      prefix,
    ]),
  );
}

function periods(report: StatusReport, nowMs: number): string {
  return table(
    [
      { title: 'period (UTC)' },
      { title: 'signal' },
      { title: 'files', align: 'right' },
      { title: 'rows', align: 'right' },
      { title: 'bytes', align: 'right' },
      { title: 'quarantined', align: 'right' },
      { title: 'complete' },
    ],
    report.periods.map((period) => [
      periodName(period),
      period.signal,
      String(period.files),
      String(period.rows),
      String(period.bytes),
      String(period.quarantinedRows),
      completeness(period, nowMs),
    ]),
  );
}

function periodName({ fromMs, toMs }: PeriodReport): string {
  const text = new Date(fromMs).toISOString();
  return toMs - fromMs > 3_600_000 ? text.slice(0, 10) : text.slice(0, 13);
}

function completeness({ state, finalFromMs, heldBy }: PeriodReport, nowMs: number): string {
  const told: Readonly<Record<PeriodReport['state'], string>> = {
    final: 'final',
    running: 'not over yet',
    waiting: `late data is waited for until ${minuteOf(finalFromMs)}`,
    held: `held back by ${holders(heldBy, nowMs)}`,
    unknown: 'no archiver has read this signal yet',
  };
  return told[state];
}

const conditions: Readonly<Record<Holder['condition'], string>> = {
  current: 'current',
  behind: 'behind',
  unread: 'not read yet',
  stopped: 'no archiver reads it',
  missing: 'not in Kafka any more',
  silent: 'silent',
  unreadable: 'damaged',
};

/** The first few; the table of partitions has all. */
function holders(all: readonly Holder[], nowMs: number): string {
  const shown = all.slice(0, 3).map(({ topic, partition, condition, watermarkMs }) => {
    const age = watermarkMs === 0 ? '' : `, ${describeMs(nowMs - watermarkMs)} behind`;
    return `${topic}/${partition} (${conditions[condition]}${age})`;
  });
  const more = all.length > shown.length ? ` and ${all.length - shown.length} more` : '';
  return `${shown.join(', ')}${more}`;
}

function runs(report: StatusReport): string {
  if (report.runs.length === 0) return 'No day is published yet.\n';
  return table(
    [
      { title: 'day' },
      { title: 'signal' },
      { title: 'state' },
      { title: 'items', align: 'right' },
      { title: 'duplicates', align: 'right' },
      { title: 'published (UTC)' },
      { title: 'run' },
    ],
    report.runs.map((run) => [
      run.date,
      run.signal,
      run.isFinal ? 'final' : 'provisional',
      String(run.totalSpans),
      String(run.duplicateSpans),
      run.publishedAt,
      run.runId,
    ]),
  );
}

function due(report: StatusReport): string {
  if (report.due === undefined) return 'Which days are due cannot be told.\n';
  if (report.due.length === 0) return 'No day is due.\n';
  return table(
    [{ title: 'due day' }, { title: 'signal' }, { title: 'why' }],
    report.due.map(({ date, signal, reason }) => [date, signal, reasons[reason] ?? reason]),
  );
}

/** Who keeps the schedule, its last ticks, and what failed. */
function schedule({ schedule: known }: StatusReport, nowMs: number): string {
  if (!known) return '';
  if (!known.leader) return 'No scheduler has run yet: see tidemark batch schedule.\n';
  const { name, term, renewedAt, leaseMs, released } = known.leader;
  const ageMs = nowMs - Date.parse(renewedAt);
  const isGone = released || ageMs > 2 * leaseMs;
  const seen = `${describeMs(ageMs)} ago`;
  const state = isGone
    ? `Nobody keeps the schedule; ${name} did ${seen}`
    : `${name} keeps the schedule`;
  const ticks = table(
    [
      { title: 'schedule' },
      { title: 'last tick (UTC)' },
      { title: 'state' },
      { title: 'published', align: 'right' },
      { title: 'failed', align: 'right' },
      { title: 'missed in 7 days', align: 'right' },
    ],
    known.ticks.map((tick) => [
      `${tick.kind}s`,
      tick.at,
      tick.state,
      String(tick.published),
      String(tick.failed),
      String(tick.missed),
    ]),
  );
  const failures = known.failures.map(({ kind, start, signal, attempts, message }) => {
    return `The ${kind} ${start} (${signal}) failed ${attempts} times: ${message}\n`;
  });
  return `${state} (term ${term}).\n${ticks}${failures.join('')}`;
}

function minuteOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
