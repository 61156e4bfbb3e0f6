/**
 * The scheduler's Prometheus metrics. Names are a contract with dashboards and alerts. What is due is that
 * of the last look; only the scheduler that leads shows it.
 */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Signal } from '../../schemas/archive.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import type { DuePeriod, DueReason } from './schedule.ts';
import type { PeriodEvent } from './journal.ts';

export interface ScheduleCounters {
  readonly leader: Gauge;
  readonly term: Gauge;
  readonly lastSuccess: Gauge<'signal' | 'kind'>;
  readonly due: Gauge<'signal' | 'kind' | 'reason'>;
  readonly waiting: Gauge<'kind'>;
  /** `outcome`: published, confirmed, unchanged, retried or failed. */
  readonly runs: Counter<'signal' | 'kind' | 'outcome'>;
  readonly runSeconds: Histogram<'signal' | 'kind'>;
  /** `outcome`: done or missed. */
  readonly ticks: Counter<'kind' | 'outcome'>;
  readonly lastTick: Gauge<'kind'>;
  readonly nextTick: Gauge<'kind'>;
  readonly provisional: Gauge<'signal' | 'kind'>;
  /** `drift`: missing, duplicated, unarchived, late, errors or quantiles. */
  readonly drift: Gauge<'signal' | 'drift'>;
  readonly driftDay: Gauge<'signal'>;
  /** `difference`: the faults of `schemas/difference.ts`. */
  readonly books: Gauge<'signal' | 'difference'>;
  readonly booksDay: Gauge<'signal'>;
}

/** From a second to three hours. */
const runBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 1200, 3600, 10_800];

/** Makes the scheduler's metrics in `registry`. Once per registry: names are unique there. */
export function scheduleCounters(registry: Registry): ScheduleCounters {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name: `tidemark_batch_${name}`, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name: `tidemark_batch_${name}_total`, help, labelNames, registers });
  return {
    leader: gauge('leader', 'Whether this scheduler leads: 1 or 0'),
    term: gauge('term', 'Number of the leadership that this scheduler had last'),
    lastSuccess: gauge(
      'last_success_seconds',
      'When a run was last published or found up to date (Unix seconds)',
      'signal',
      'kind',
    ),
    due: gauge('due_periods', 'Periods that are due, at the last look', 'signal', 'kind', 'reason'),
    waiting: gauge('waiting_periods', 'Periods that wait for the archive', 'kind'),
    runs: counter('runs', 'Tries to compute a period, by outcome', 'signal', 'kind', 'outcome'),
    runSeconds: new Histogram({
      name: 'tidemark_batch_run_seconds',
      help: 'Time of one published run',
      labelNames: ['signal', 'kind'] as const,
      buckets: runBuckets,
      registers,
    }),
    ticks: counter(
      'ticks',
      'Ticks of the schedule, by outcome: done, or missed',
      'kind',
      'outcome',
    ),
    lastTick: gauge('last_tick_seconds', 'The last tick that is done (Unix seconds)', 'kind'),
    nextTick: gauge('next_tick_seconds', 'The next tick (Unix seconds)', 'kind'),
    provisional: gauge(
      'provisional_periods',
      'Ended periods whose current run is provisional',
      'signal',
      'kind',
    ),
    drift: gauge(
      'drift_ratio',
      'How far the layers were apart on the last day that was compared, by kind; 0.01 is 1 %',
      'signal',
      'drift',
    ),
    driftDay: gauge(
      'drift_day_seconds',
      'Start of the last day whose layers were compared (Unix seconds)',
      'signal',
    ),
    books: gauge(
      'books_difference_items',
      'Items by which the books of the last day that was balanced are off, by difference',
      'signal',
      'difference',
    ),
    booksDay: gauge(
      'books_day_seconds',
      'Start of the last day whose books were balanced (Unix seconds)',
      'signal',
    ),
  };
}

/** Counts one try of a period at `nowMs`, ms since 1970. */
export function countTry(
  counters: ScheduleCounters,
  { signal, kind }: { readonly signal: Signal; readonly kind: PeriodKind },
  { outcome, elapsedMs, nowMs }: { outcome: PeriodEvent; elapsedMs: number; nowMs: number },
): void {
  counters.runs.inc({ signal, kind, outcome });
  if (outcome === 'published') counters.runSeconds.observe({ signal, kind }, elapsedMs / 1000);
  if (outcome !== 'failed' && outcome !== 'retried') {
    counters.lastSuccess.set({ signal, kind }, nowMs / 1000);
  }
}

const reasons: readonly DueReason[] = ['missing', 'changed', 'complete'];

/** Shows what a look has found due; zeros of what it has not. */
export function showDue(
  { due }: ScheduleCounters,
  kind: PeriodKind,
  signals: readonly Signal[],
  found: readonly DuePeriod[],
): void {
  for (const signal of signals) {
    for (const reason of reasons) {
      const own = found.filter((each) => each.signal === signal && each.reason === reason);
      due.set({ signal, kind, reason }, own.length);
    }
  }
}
