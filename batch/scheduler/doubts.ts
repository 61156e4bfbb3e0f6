/**
 * Shows what is doubtful about the published figures: ended periods that are provisional, how far the layers
 * were apart when they were last compared, and what the books lacked when they were last balanced. It reads
 * what others stored and compares nothing itself.
 */
import type { Signal } from '../../schemas/archive.ts';
import { differenceKinds } from '../../schemas/difference.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { doubtsPauseMs, driftItemsMin } from '../../schemas/limits/batch.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { currentRuns } from '../publish/runs.ts';
import { periodsToLookAt } from './schedule.ts';
import { signalsOf } from '../signals.ts';
import type { ScheduleCounters } from './counters.ts';
import type { Pulse } from './pulse.ts';

export interface DoubtsOptions {
  readonly clickhouse: ClickHouse;
  readonly counters: Pick<
    ScheduleCounters,
    'provisional' | 'drift' | 'driftDay' | 'books' | 'booksDay'
  >;
  readonly pulse: Pick<Pulse, 'fault'>;
}

export class Doubts {
  readonly #options: DoubtsOptions;
  #nextMs = 0;

  constructor(options: DoubtsOptions) {
    this.#options = options;
  }

  /** Looks again when it is time, ms since 1970. What cannot be read is not shown. */
  async show(nowMs: number): Promise<void> {
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + doubtsPauseMs;
    const { clickhouse, pulse } = this.#options;
    this.hide();
    try {
      this.#showProvisional(await readProvisional(clickhouse, nowMs));
      this.#showDrift(await readDrift(clickhouse));
      this.#showBooks(await readBooks(clickhouse));
      pulse.fault('doubts', undefined);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      pulse.fault('doubts', error.message);
    }
  }

  /** Shows nothing more: another scheduler leads. */
  hide(): void {
    const { provisional, drift, driftDay, books, booksDay } = this.#options.counters;
    for (const gauge of [provisional, drift, driftDay, books, booksDay]) gauge.reset();
  }

  #showProvisional(found: readonly Provisional[]): void {
    const { provisional } = this.#options.counters;
    for (const { signal, kind, periods } of found) provisional.set({ signal, kind }, periods);
  }

  #showDrift(found: readonly Drift[]): void {
    const { drift, driftDay } = this.#options.counters;
    for (const { signal, daySeconds, ratios } of found) {
      driftDay.set({ signal }, daySeconds);
      for (const [name, ratio] of Object.entries(ratios)) drift.set({ signal, drift: name }, ratio);
    }
  }

  #showBooks(found: readonly Books[]): void {
    const { books, booksDay } = this.#options.counters;
    for (const { signal, daySeconds, items } of found) {
      booksDay.set({ signal }, daySeconds);
      for (const difference of faults) {
        books.set({ signal, difference }, Number(items[difference] ?? 0));
      }
    }
  }
}

interface Provisional {
  readonly signal: Signal;
  readonly kind: PeriodKind;
  readonly periods: number;
}

/** Of the periods that the schedule looks at. One that was rolled back is somebody's decision, and not counted. */
async function readProvisional(clickhouse: ClickHouse, nowMs: number): Promise<Provisional[]> {
  const found: Provisional[] = [];
  for (const kind of ['hour', 'day'] as const) {
    const periods = periodsToLookAt(kind, nowMs);
    const range = { kind, fromMs: periods[0]?.startMs ?? 0, toMs: periods.at(-1)?.endMs ?? 0 };
    for (const signal of signalsOf(kind)) {
      const runs = [...(await currentRuns(clickhouse, signal, range)).values()];
      const doubtful = runs.filter((run) => !run.isFinal && run.inputHash === run.seenHash);
      found.push({ signal, kind, periods: doubtful.length });
    }
  }
  return found;
}

interface Drift {
  readonly signal: Signal;
  /** Start of the newest day that was compared, seconds since 1970. */
  readonly daySeconds: number;
  /** By kind of drift, of all services together or of the worst that is not tiny: 0.01 is 1 %. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** A kind of drift: what is off, as a share of what. */
const shares: Readonly<Record<string, readonly [part: string, whole: string]>> = {
  missing: ['missing_items', 'batch_items'],
  duplicated: ['duplicated_items', 'batch_items'],
  unarchived: ['unarchived_items', 'speed_items'],
  late: ['late_items', 'batch_items'],
  errors: ['abs(toInt64(speed_errors) - toInt64(batch_errors))', 'batch_errors'],
};

async function readDrift(clickhouse: ClickHouse): Promise<Drift[]> {
  const ratios = Object.entries(shares).map(
    ([name, [part, whole]]) => `greatest(sum(${part}) / greatest(sum(${whole}), 1),
         maxIf(${part} / greatest(${whole}, 1), ${whole} >= {min:UInt64})) AS ${name}`,
  );
  const worst = ['p50_error', 'p95_error', 'p99_error'].map((name) => `ifNull(${name}, 0)`);
  const rows = await clickhouse.query<Readonly<Record<string, string | number>>>(
    `SELECT signal, toUnixTimestamp(max(period_start)) AS day, ${ratios.join(',\n       ')},
       maxIf(greatest(${worst.join(', ')}), batch_items >= {min:UInt64}) AS quantiles
     FROM layer_drift_current
     WHERE period_kind = 'day' AND (signal, period_start, computed_at) IN
       (SELECT signal, newest.1, newest.2 FROM
         (SELECT signal, max((period_start, computed_at)) AS newest FROM layer_drift
          WHERE period_kind = 'day' GROUP BY signal))
     GROUP BY signal`,
    { min: driftItemsMin },
  );
  return rows.map(({ signal, day, ...ratiosOfDay }) => ({
    signal: signal as Signal,
    daySeconds: Number(day),
    ratios: Object.fromEntries(
      Object.entries(ratiosOfDay).map(([name, ratio]) => [name, Number(ratio)]),
    ),
  }));
}

interface Books {
  readonly signal: Signal;
  /** Start of the newest day whose books were balanced, seconds since 1970. */
  readonly daySeconds: number;
  /** Items by the name of the difference. */
  readonly items: Readonly<Record<string, string | number>>;
}

/** Differences that should not be; of others nobody need be told. */
const faults = Object.entries(differenceKinds).flatMap(([name, { weight }]) =>
  weight === 'fault' ? [name] : [],
);

async function readBooks(clickhouse: ClickHouse): Promise<Books[]> {
  const rows = await clickhouse.query<
    Omit<Books, 'daySeconds'> & { readonly day: string | number }
  >(
    `SELECT signal, toUnixTimestamp(toStartOfDay(max(minute), 'UTC')) AS day,
       sumMap(differences) AS items
     FROM ledger WHERE (signal, toDate(minute, 'UTC')) IN
       (SELECT signal, max(toDate(minute, 'UTC')) FROM ledger_minutes GROUP BY signal)
     GROUP BY signal`,
  );
  return rows.map(({ signal, day, items }) => ({ signal, daySeconds: Number(day), items }));
}
