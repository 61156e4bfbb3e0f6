/**
 * What the scheduler has to compute, and in which order: periods that wait for the archive until their
 * deadline, and those that failed until they are tried again. Decides only; it reads and starts nothing.
 */
import type { Signal } from '../../schemas/archive.ts';
import { periodLengthMs, type PeriodKind } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Tick } from '../../schemas/tick.ts';
import type { DuePeriod } from './schedule.ts';

export type AgendaSettings = Pick<
  Settings,
  | 'TIDEMARK_ALLOWED_LATENESS_MS'
  | 'TIDEMARK_BATCH_DEADLINE_MS'
  | 'TIDEMARK_BATCH_HOUR_DEADLINE_MS'
  | 'TIDEMARK_BATCH_RETRIES'
  | 'TIDEMARK_BATCH_RETRY_MS'
>;

/** One signal of one period that is to be computed. */
export interface Item extends DuePeriod {
  /** The tick that asked for it. */
  readonly tick: Tick;
  /** All that was received before this time (ms since 1970) has to be archived first. */
  readonly watermarkMs: number;
  /** But not longer than until this time. */
  readonly deadlineMs: number;
  /** Not before this time. */
  notBeforeMs: number;
  /** Tries that failed. */
  failures: number;
}

/** Everything received before this time, ms since 1970, is archived. */
export type Watermarks = Readonly<Partial<Record<Signal, number>>>;

export class Agenda {
  readonly #settings: AgendaSettings;
  readonly #items = new Map<string, Item>();

  constructor(settings: AgendaSettings) {
    this.#settings = settings;
  }

  /** Adds what a tick found due at `nowMs`. What is there already stays as it is. */
  add(tick: Tick, due: readonly DuePeriod[], nowMs: number): void {
    const { TIDEMARK_BATCH_DEADLINE_MS, TIDEMARK_BATCH_HOUR_DEADLINE_MS } = this.#settings;
    const waitMs = { day: TIDEMARK_BATCH_DEADLINE_MS, hour: TIDEMARK_BATCH_HOUR_DEADLINE_MS };
    for (const each of due) {
      const key = keyOf(each);
      if (this.#items.has(key)) continue;
      this.#items.set(key, {
        ...each,
        tick,
        watermarkMs: this.#wanted(each, tick),
        deadlineMs: nowMs + waitMs[each.period.kind],
        notBeforeMs: nowMs,
        failures: 0,
      });
    }
  }

  /**
   * How far the archive should be: so far that the period is final. Where that lies in the future, all that was
   * received before the tick's hour; archivers close their files with the hour.
   */
  #wanted({ period }: DuePeriod, tick: Tick): number {
    const closedMs = Math.floor(tick.atMs / periodLengthMs.hour) * periodLengthMs.hour;
    const finalMs = period.endMs + this.#settings.TIDEMARK_ALLOWED_LATENESS_MS;
    return Math.min(finalMs, Math.max(period.endMs, closedMs));
  }

  /** What should be computed now: hours before days, of them the oldest. */
  next(nowMs: number, watermarks: Watermarks): Item | undefined {
    const ready = this.items.filter(
      (item) =>
        item.notBeforeMs <= nowMs && (item.deadlineMs <= nowMs || isArchived(item, watermarks)),
    );
    return ready.toSorted(order)[0];
  }

  /** It was computed, or need not be. */
  done(item: Item): void {
    this.#items.delete(keyOf(item));
  }

  /** It failed: whether it is going to be tried again. If not, it is gone from the agenda. */
  failed(item: Item, nowMs: number): 'retried' | 'failed' {
    item.failures += 1;
    if (item.failures > this.#settings.TIDEMARK_BATCH_RETRIES) {
      this.done(item);
      return 'failed';
    }
    item.notBeforeMs = nowMs + this.#settings.TIDEMARK_BATCH_RETRY_MS;
    return 'retried';
  }

  get items(): Item[] {
    return [...this.#items.values()];
  }

  isEmpty(kind: PeriodKind): boolean {
    return !this.items.some(({ period }) => period.kind === kind);
  }

  /** Those that wait for the archive. */
  waiting(nowMs: number, watermarks: Watermarks): Item[] {
    return this.items.filter(
      (item) => item.deadlineMs > nowMs && !isArchived(item, watermarks) && item.failures === 0,
    );
  }

  /** When an item becomes ready by time alone, ms since 1970; `undefined` when none is there. */
  wakeMs(watermarks: Watermarks): number | undefined {
    const times = this.items.map((item) =>
      Math.max(item.notBeforeMs, isArchived(item, watermarks) ? 0 : item.deadlineMs),
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

function keyOf({ period, signal }: DuePeriod): string {
  return `${period.kind}/${period.name}/${signal}`;
}

function isArchived({ signal, watermarkMs }: Item, watermarks: Watermarks): boolean {
  return (watermarks[signal] ?? 0) >= watermarkMs;
}

function order(a: Item, b: Item): number {
  if (a.period.kind !== b.period.kind) return a.period.kind === 'hour' ? -1 : 1;
  return a.period.endMs - b.period.endMs;
}
