/**
 * What the scheduler that leads does, turn by turn: takes the ticks that are due, looks what they ask for,
 * computes it one after the other, and writes down how it went. It asks others for the time, the lease and the
 * computation.
 */
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { scheduleMemoryMs } from '../../schemas/limits/batch.ts';
import { periodLengthMs, type Period, type PeriodKind } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';
import { tickKey, type Tick } from '../../schemas/tick.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import type { BatchLog, BatchProgress, RunReport } from '../run.ts';
import type { DuePeriod } from './schedule.ts';
import { Agenda, type Item, type Watermarks } from './agenda.ts';
import { countTry, showDue, type ScheduleCounters } from './counters.ts';
import { Doubts } from './doubts.ts';
import { listTicks } from './inbox.ts';
import { Journal, readLastSuccess, readTicks, type PeriodEvent } from './journal.ts';
import type { LeaseClock } from './lease.ts';
import type { Pulse } from './pulse.ts';
import { Timetable } from './timetable.ts';

export interface SchedulerClock extends LeaseClock {
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The computations that the scheduler starts. */
export interface Work {
  /** Periods of that kind that a run would change now. */
  look(kind: PeriodKind): Promise<readonly DuePeriod[]>;
  /** Signals that have runs of such periods. */
  signals(kind: PeriodKind): readonly Signal[];
  /** How far the archive of each of these signals is. */
  watermarks(signals: readonly Signal[]): Promise<Watermarks>;
  /** Brings one period up to date. */
  run(period: Period, signal: Signal, options: RunOptions): Promise<RunReport>;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Throws when the run must not be published any more. */
  readonly fence: () => Promise<void>;
  readonly onProgress: (progress: BatchProgress) => void;
}

export interface LeadOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  readonly clock: SchedulerClock;
  readonly log: BatchLog;
  readonly work: Work;
  readonly counters: ScheduleCounters;
  readonly pulse: Pulse;
  /** Compute what fell into a time when no scheduler ran. */
  readonly catchUp: boolean;
  /** Take ticks from the store alone: somebody else keeps the time. */
  readonly ticksOnly: boolean;
  /** This scheduler's name, and the number of its leadership. */
  readonly name: string;
  readonly term: number;
  /** Throws when another may lead by now. */
  readonly fence: () => Promise<void>;
  /** Aborts at a stop, and when the lease is lost. */
  readonly signal: AbortSignal;
}

const kinds: readonly PeriodKind[] = ['hour', 'day'];

/** A tick that is not done. */
interface Pending {
  readonly tick: Tick;
  /** When it was begun first, ms since 1970. */
  readonly begunMs: number;
  /** Whether somebody stored it, so that it has to be removed. */
  isStored: boolean;
  /** Whether what it asks for is on the agenda. */
  isLooked: boolean;
}

export class Leader {
  readonly #options: LeadOptions;
  readonly #timetable: Timetable;
  readonly #agenda: Agenda;
  readonly #journal: Journal;
  readonly #doubts: Doubts;
  readonly #pending = new Map<string, Pending>();
  /** Ticks that are done, by key. */
  readonly #done = new Map<string, Tick>();
  /** Up to when the timetable's own ticks were taken; `undefined` before the journal was read. */
  #takenMs: Readonly<Record<PeriodKind, number>> | undefined;
  #watermarks: Watermarks = {};
  /** What the last look found due and is not done since. */
  readonly #due = new Map<PeriodKind, readonly DuePeriod[]>();

  /** Throws `SettingError` for a cron line that cannot be read. */
  constructor(options: LeadOptions) {
    const { settings, clickhouse, clock, name: scheduler, term } = options;
    this.#options = options;
    this.#timetable = new Timetable(settings);
    this.#agenda = new Agenda(settings);
    this.#journal = new Journal({ clickhouse, clock: () => clock.now(), scheduler, term });
    this.#doubts = new Doubts(options);
  }

  /** Leads until `signal` aborts. A service that is away is waited for. */
  async lead(): Promise<void> {
    const { signal, clock, pulse } = this.#options;
    while (!signal.aborted) {
      pulse.beat();
      const restMs = await this.#tried(() => this.#turn());
      if (restMs > 0) await clock.sleep(restMs, signal);
    }
    await this.#tried(async () => {
      await this.#journal.flush();
      return 0;
    });
    this.#doubts.hide();
  }

  /** Faults of the world end a turn; the next one begins where it was. Returns how long to rest, ms. */
  async #tried(turn: () => Promise<number>): Promise<number> {
    const { signal, log, pulse, settings } = this.#options;
    try {
      const restMs = await turn();
      pulse.fault('schedule', undefined);
      return restMs;
    } catch (error) {
      if (signal.aborted) return 0;
      if (!(error instanceof TidemarkError)) throw error;
      if (pulse.fault('schedule', error.message)) {
        log.warn({ err: error }, 'The schedule cannot go on; trying again');
      }
      return settings.TIDEMARK_BATCH_POLL_MS;
    }
  }

  async #turn(): Promise<number> {
    const { clock } = this.#options;
    await this.#recover();
    this.#takeOwn(clock.now());
    await this.#takeStored(clock.now());
    await this.#look();
    await this.#readWatermarks();
    const item = this.#agenda.next(clock.now(), this.#watermarks);
    // Before anything is computed: whoever takes over has to know of the ticks that were begun.
    await this.#journal.flush();
    if (item) await this.#compute(item);
    await this.#settle();
    await this.#journal.flush();
    await this.#doubts.show(clock.now());
    return item === undefined ? this.#restMs(clock.now()) : 0;
  }

  /** Once: goes on with what a leader before left, and says what nobody was there for. */
  async #recover(): Promise<void> {
    if (this.#takenMs) return;
    const { clock, clickhouse, counters, pulse } = this.#options;
    const nowMs = clock.now();
    const taken: Record<PeriodKind, number> = { hour: nowMs, day: nowMs };
    for (const { kind, signal, atMs } of await readLastSuccess(clickhouse)) {
      counters.lastSuccess.set({ kind, signal }, atMs / 1000);
    }
    for (const kind of kinds) {
      const known = await readTicks(clickhouse, kind, nowMs - scheduleMemoryMs);
      for (const { state, begunMs, atMs } of known) {
        const tick = { kind, atMs };
        if (state === 'done') this.#remember(tick);
        else if (state === 'begun') this.#begin(tick, begunMs);
      }
      const lastMs = known.at(-1)?.atMs;
      if (!this.#options.ticksOnly) this.#goBack(kind, lastMs, nowMs);
      taken[kind] = nowMs;
      pulse.beat();
    }
    this.#takenMs = taken;
  }

  /** Takes the ticks between the last one that is known and now, or calls them missed. */
  #goBack(kind: PeriodKind, lastMs: number | undefined, nowMs: number): void {
    const { catchUp, settings, log, counters } = this.#options;
    // At the first start of all nothing was missed: there is only what was never computed.
    const first = catchUp ? (this.#timetable.previous(kind, nowMs) ?? nowMs) - 1 : nowMs;
    const missed: number[] = [];
    for (const atMs of this.#timetable.between(kind, lastMs ?? first, nowMs)) {
      const isLate = nowMs - atMs > settings.TIDEMARK_BATCH_GRACE_MS;
      if (catchUp || !isLate) this.#begin({ kind, atMs }, nowMs);
      else missed.push(atMs);
    }
    for (const atMs of missed) {
      this.#journal.noteTick({ kind, atMs }, 'missed');
      counters.ticks.inc({ kind, outcome: 'missed' });
    }
    const [from, to] = [missed[0], missed.at(-1)];
    if (from === undefined || to === undefined) return;
    const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const hint = 'tidemark batch backfill computes their periods';
    log.warn({ kind, ticks: missed.length, ...span, hint }, 'Ticks of the schedule were missed');
  }

  /** The ticks of the timetable that have come up since the last turn. */
  #takeOwn(nowMs: number): void {
    const { ticksOnly, counters } = this.#options;
    if (!this.#takenMs) return;
    for (const kind of kinds) {
      const next = this.#timetable.next(kind, nowMs);
      if (next !== undefined && !ticksOnly) counters.nextTick.set({ kind }, next / 1000);
      if (ticksOnly) continue;
      for (const atMs of this.#timetable.between(kind, this.#takenMs[kind], nowMs)) {
        this.#begin({ kind, atMs }, nowMs);
      }
    }
    // A clock that was set back makes no tick a second time.
    const { hour, day } = this.#takenMs;
    this.#takenMs = { hour: Math.max(hour, nowMs), day: Math.max(day, nowMs) };
  }

  /** Ticks that others stored. One that is done already is only removed. */
  async #takeStored(nowMs: number): Promise<void> {
    const { store, signal } = this.#options;
    const spent: string[] = [];
    for (const tick of await listTicks(store, { signal })) {
      const key = tickKey(tick);
      // Of a clock that is ahead of ours.
      if (tick.atMs > nowMs) continue;
      if (this.#done.has(key)) spent.push(key);
      else this.#begin(tick, nowMs).isStored = true;
    }
    if (spent.length > 0) await store.delete(spent, { signal });
  }

  #begin(tick: Tick, begunMs: number): Pending {
    const key = tickKey(tick);
    const known = this.#pending.get(key);
    if (known) return known;
    const pending = { tick, begunMs, isStored: false, isLooked: false };
    // Two keepers of one time, or a clock that was set back: what is done is done.
    if (this.#done.has(key)) return pending;
    this.#pending.set(key, pending);
    this.#journal.noteTick(tick, 'begun');
    return pending;
  }

  #remember(tick: Tick): void {
    this.#done.set(tickKey(tick), tick);
    const { counters } = this.#options;
    counters.lastTick.set({ kind: tick.kind }, tick.atMs / 1000);
  }

  /** Looks once for all ticks of a kind that have come up. */
  async #look(): Promise<void> {
    const { work, clock, catchUp, log } = this.#options;
    for (const kind of kinds) {
      const fresh = this.#of(kind).filter(({ isLooked }) => !isLooked);
      const newest = fresh.at(-1);
      if (!newest) continue;
      const found = await work.look(kind);
      this.#showDue(kind, found);
      const wanted = found.filter(
        (due) => catchUp || due.reason !== 'missing' || this.#isCovered(due.period),
      );
      // The leader that began it may have a clock that is ahead of ours.
      this.#agenda.add(newest.tick, wanted, Math.min(newest.begunMs, clock.now()));
      for (const pending of fresh) pending.isLooked = true;
      const left = found.length - wanted.length;
      const tick = new Date(newest.tick.atMs).toISOString();
      log.info({ kind, tick, due: wanted.length, notScheduled: left }, 'A tick of the schedule');
    }
  }

  #showDue(kind: PeriodKind, due: readonly DuePeriod[]): void {
    const { work, counters } = this.#options;
    this.#due.set(kind, due);
    showDue(counters, kind, work.signals(kind), due);
  }

  /** Ticks of a kind that are not done, oldest first. */
  #of(kind: PeriodKind): Pending[] {
    return [...this.#pending.values()]
      .filter(({ tick }) => tick.kind === kind)
      .toSorted((a, b) => a.tick.atMs - b.tick.atMs);
  }

  /**
   * Whether a period that was never computed is one of a tick that was not missed: it may have failed, or all
   * its data came late. Others are left to a backfill, unless catching up was asked for.
   */
  #isCovered({ kind, endMs }: Period): boolean {
    const ticks = [...this.#done.values(), ...this.#of(kind).map(({ tick }) => tick)];
    return ticks.some((tick) => {
      if (tick.kind !== kind || endMs > tick.atMs) return false;
      if (tick.atMs - endMs < periodLengthMs[kind]) return true;
      return endMs > (this.#timetable.previous(kind, tick.atMs) ?? tick.atMs);
    });
  }

  async #readWatermarks(): Promise<void> {
    const { work, clock, counters } = this.#options;
    const waiting = this.#agenda.waiting(clock.now(), this.#watermarks);
    const wanted = [...new Set(waiting.map(({ signal }) => signal))];
    if (wanted.length > 0) this.#watermarks = await work.watermarks(wanted);
    const still = this.#agenda.waiting(clock.now(), this.#watermarks);
    for (const kind of kinds) {
      counters.waiting.set({ kind }, still.filter(({ period }) => period.kind === kind).length);
    }
  }

  /** One try of one period. */
  async #compute(item: Item): Promise<void> {
    const { work, clock, pulse, log, signal, fence } = this.#options;
    const { period, signal: of, tick, reason } = item;
    const startedMs = clock.now();
    const attempt = item.failures + 1;
    const name = `${period.name} (${of})`;
    log.info({ period: period.name, signal: of, reason, attempt }, 'Computing a period');
    const note = { tick, period, signal: of, attempt };
    try {
      const onProgress = () => pulse.beat();
      const report = await work.run(period, of, { signal, fence, onProgress });
      const { outcome: event, message, run } = report;
      this.#agenda.done(item);
      const due = this.#due.get(period.kind) ?? [];
      this.#showDue(
        period.kind,
        due.filter((each) => each.period.name !== period.name || each.signal !== of),
      );
      pulse.fault(name, undefined);
      this.#note({ ...note, event, message, runId: run?.runId ?? '', startedMs });
      log.info({ period: period.name, signal: of, outcome: event, attempt }, message);
    } catch (error) {
      // A stop or a lost lease is no failure: whoever leads next goes on.
      if (signal.aborted || !(error instanceof TidemarkError)) throw error;
      const event = this.#agenda.failed(item, clock.now());
      pulse.fault(name, error.message);
      this.#note({ ...note, event, message: error.message, runId: '', startedMs });
      log.warn({ period: period.name, signal: of, attempt, event, err: error }, 'A period failed');
    }
  }

  #note(note: {
    readonly tick: Tick;
    readonly period: Period;
    readonly signal: Signal;
    readonly attempt: number;
    readonly event: PeriodEvent;
    readonly message: string;
    readonly runId: string;
    readonly startedMs: number;
  }): void {
    const { clock, counters } = this.#options;
    const nowMs = clock.now();
    const elapsedMs = Math.max(0, Math.round(nowMs - note.startedMs));
    const { startedMs: _, ...row } = note;
    this.#journal.notePeriod({ ...row, elapsedMs });
    const about = { signal: note.signal, kind: note.period.kind };
    countTry(counters, about, { outcome: note.event, elapsedMs, nowMs });
  }

  /** Ticks of which nothing is left to do are done: first in the journal, then in the store. */
  async #settle(): Promise<void> {
    const { store, counters, signal } = this.#options;
    const settled: Pending[] = [];
    for (const kind of kinds) {
      if (!this.#agenda.isEmpty(kind)) continue;
      settled.push(...this.#of(kind).filter(({ isLooked }) => isLooked));
    }
    if (settled.length === 0) return;
    for (const { tick } of settled) this.#journal.noteTick(tick, 'done');
    for (const { tick } of settled) {
      this.#pending.delete(tickKey(tick));
      this.#remember(tick);
      counters.ticks.inc({ kind: tick.kind, outcome: 'done' });
    }
    await this.#journal.flush();
    const stored = settled.filter(({ isStored }) => isStored).map(({ tick }) => tickKey(tick));
    if (stored.length > 0) await store.delete(stored, { signal });
  }

  /** Until the next tick, retry or deadline; not longer than until the store should be looked at. */
  #restMs(nowMs: number): number {
    const { settings, ticksOnly } = this.#options;
    const own = ticksOnly ? [] : kinds.map((kind) => this.#timetable.next(kind, nowMs));
    const times = [...own, this.#agenda.wakeMs(this.#watermarks)];
    const nextMs = Math.min(...times.map((ms) => ms ?? Number.POSITIVE_INFINITY));
    return Math.max(1, Math.min(nextMs - nowMs, settings.TIDEMARK_BATCH_POLL_MS));
  }
}
