/**
 * Keeps what the schedule did in ClickHouse's table `batch_schedule`: ticks that were begun, done and missed,
 * and how each period of them ended. Rows are only added; a service that is down for a while loses none.
 */
import type { Signal } from '../../schemas/archive.ts';
import { scheduleRowsKept } from '../../schemas/limits/batch.ts';
import { dateTime, type Period, type PeriodKind } from '../../schemas/period.ts';
import type { Tick } from '../../schemas/tick.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';

export type TickEvent = 'begun' | 'done' | 'missed';
export type PeriodEvent = 'published' | 'confirmed' | 'unchanged' | 'retried' | 'failed';

export interface JournalOptions {
  readonly clickhouse: ClickHouse;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** Who writes: the scheduler's name and the term of its leadership. */
  readonly scheduler: string;
  readonly term: number;
}

export interface PeriodNote {
  readonly tick: Tick;
  readonly period: Period;
  readonly signal: Signal;
  readonly event: PeriodEvent;
  readonly message: string;
  readonly runId: string;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly elapsedMs: number;
}

type Row = Readonly<Record<string, string | number>>;

export class Journal {
  readonly #options: JournalOptions;
  #rows: Row[] = [];
  #dropped = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Rows that were lost because ClickHouse was away for too long. */
  get dropped(): number {
    return this.#dropped;
  }

  noteTick({ kind, atMs }: Tick, event: TickEvent): void {
    this.#add({ event, period_kind: kind, tick_at: dateTime(atMs) });
  }

  notePeriod({ tick, period, signal, runId, attempt, elapsedMs, ...note }: PeriodNote): void {
    this.#add({
      event: note.event,
      message: note.message,
      period_kind: period.kind,
      tick_at: dateTime(tick.atMs),
      period_start: dateTime(period.startMs),
      signal,
      run_id: runId,
      attempt,
      elapsed_ms: elapsedMs,
    });
  }

  #add(row: Row): void {
    const { clock, scheduler, term } = this.#options;
    this.#rows.push({ at: new Date(clock()).toISOString(), scheduler, term, ...row });
    const tooMany = this.#rows.length - scheduleRowsKept;
    if (tooMany <= 0) return;
    this.#rows.splice(0, tooMany);
    this.#dropped += tooMany;
  }

  /** Writes what was noted. Throws `ClickHouseError`; it is kept then for the next time. */
  async flush(): Promise<void> {
    const rows = this.#rows;
    this.#rows = [];
    try {
      // Twice the same row says no more than once.
      await this.#options.clickhouse.insertRows('batch_schedule', rows, { idempotent: true });
    } catch (error) {
      this.#rows = [...rows, ...this.#rows];
      throw error;
    }
  }
}

/** A tick as the journal knows it. */
export interface TickState extends Tick {
  /** `begun`: somebody is at it, or died over it. */
  readonly state: TickEvent;
  /** When that was noted first, ms since 1970. */
  readonly begunMs: number;
}

/** The ticks of a kind since a time (ms since 1970), oldest first. Throws `ClickHouseError`. */
export async function readTicks(
  clickhouse: ClickHouse,
  kind: PeriodKind,
  sinceMs: number,
): Promise<TickState[]> {
  const rows = await clickhouse.query<{ at: number; state: TickEvent; begun: string }>(
    `SELECT toUnixTimestamp(tick_at) AS at, state,
       toString(toUnixTimestamp64Milli(begun_at)) AS begun
     FROM batch_ticks
     WHERE period_kind = {kind:String} AND tick_at >= {since:DateTime('UTC')} ORDER BY tick_at`,
    { kind, since: dateTime(Math.max(0, sinceMs)) },
  );
  return rows.map(({ at, state, begun }) => {
    return { kind, atMs: at * 1000, state, begunMs: Number(begun) };
  });
}

/** When something was last published, by kind and signal, ms since 1970. Throws `ClickHouseError`. */
export async function readLastSuccess(
  clickhouse: ClickHouse,
): Promise<{ readonly kind: PeriodKind; readonly signal: Signal; readonly atMs: number }[]> {
  const rows = await clickhouse.query<{ kind: PeriodKind; signal: Signal; at: string }>(
    `SELECT period_kind AS kind, signal, toString(toUnixTimestamp64Milli(max(published_at))) AS at
     FROM batch_runs GROUP BY kind, signal`,
  );
  return rows.map(({ kind, signal, at }) => ({ kind, signal, atMs: Number(at) }));
}
