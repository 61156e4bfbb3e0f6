/**
 * The conductor of the schedule: of any number of schedulers one holds the lease and leads, the others wait
 * for it. It keeps the lease alive while the leader works, and gives it back at the end.
 */
import { SettingError, TidemarkError } from '../schemas/errors.ts';
import { leaseReleaseMs } from '../schemas/limits/batch.ts';
import { Leader, type LeadOptions } from './scheduler/leader.ts';
import { Lease } from './scheduler/lease.ts';
import { Timetable } from './scheduler/timetable.ts';

/** The lease that schedulers of one archive share. */
export const scheduleLease = 'batch';

export interface SchedulerOptions extends Omit<LeadOptions, 'term' | 'fence' | 'signal'> {
  /** Random, unique to the process. */
  readonly holder: string;
  readonly signal: AbortSignal;
}

/**
 * Keeps the schedule until `signal` aborts. Throws `SettingError` for settings that cannot be used; what the
 * store and ClickHouse throw is waited out.
 */
export async function runScheduler(options: SchedulerOptions): Promise<void> {
  const { store, clock, holder, name, settings, signal, counters, pulse } = options;
  const timetable = new Timetable(settings);
  assertTicks(options, timetable);
  const leaseMs = settings.TIDEMARK_BATCH_LEASE_MS;
  const lease = new Lease({ store, clock, lease: scheduleLease, holder, name, leaseMs });
  counters.leader.set(0);
  signal.addEventListener('abort', () => pulse.stopping(), { once: true });
  while (!signal.aborted) {
    pulse.beat();
    if (await taken(lease, options)) await leadWhileHeld(lease, options);
    else await clock.sleep(Math.ceil(leaseMs / 3), signal);
  }
}

/** A schedule that never does anything is a mistake. */
function assertTicks({ ticksOnly, clock }: SchedulerOptions, timetable: Timetable): void {
  const nowMs = clock.now();
  if (ticksOnly || timetable.next('day', nowMs) || timetable.next('hour', nowMs)) return;
  const message = 'Cannot keep a schedule: neither cron line ever comes up';
  throw new SettingError('TIDEMARK_BATCH_CRON', message);
}

async function taken(lease: Lease, { log, pulse, signal }: SchedulerOptions): Promise<boolean> {
  try {
    const isTaken = await lease.take({ signal });
    pulse.ready();
    pulse.fault('lease', undefined);
    return isTaken;
  } catch (error) {
    if (signal.aborted) return false;
    if (!(error instanceof TidemarkError)) throw error;
    if (pulse.fault('lease', error.message)) {
      log.warn({ err: error }, 'Cannot take the lease; trying again');
    }
    return false;
  }
}

async function leadWhileHeld(lease: Lease, options: SchedulerOptions): Promise<void> {
  const { signal, log, counters } = options;
  const { term } = lease;
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  log.info({ term }, 'This scheduler leads');
  counters.leader.set(1);
  counters.term.set(term);
  const fence = async () => {
    try {
      await lease.assertHeld({ signal: either });
    } finally {
      // Nothing more is begun under a lease that is lost.
      if (!lease.isHeld) ended.abort();
    }
  };
  const leader = new Leader({ ...options, term, fence, signal: either });
  // Whichever ends first ends the other, be it by a fault.
  const parts = [leader.lead(), keep(lease, options, either)];
  const outcomes = await Promise.allSettled(parts.map((part) => part.finally(() => ended.abort())));
  counters.leader.set(0);
  counters.due.reset();
  await release(lease, options);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  if (!signal.aborted) log.warn({ term }, 'This scheduler leads no more: the lease is lost');
}

/** Renews the lease three times in its time; returns once it is lost. */
async function keep(
  lease: Lease,
  { clock, settings, log, pulse }: SchedulerOptions,
  either: AbortSignal,
): Promise<void> {
  const pauseMs = Math.ceil(settings.TIDEMARK_BATCH_LEASE_MS / 3);
  for (;;) {
    await clock.sleep(pauseMs, either);
    if (either.aborted) return;
    try {
      const isOurs = await within(clock, pauseMs, either, (signal) => lease.renew({ signal }));
      pulse.fault('lease', undefined);
      if (!isOurs) return;
    } catch (error) {
      if (either.aborted) return;
      if (!(error instanceof TidemarkError)) throw error;
      if (pulse.fault('lease', error.message)) log.warn({ err: error }, 'Cannot renew the lease');
      if (!lease.isHeld) return;
    }
  }
}

/** Lets another take over at once; where that fails, it takes over when the lease has run out. */
async function release(lease: Lease, { clock, log }: SchedulerOptions): Promise<void> {
  try {
    const never = new AbortController().signal;
    await within(clock, leaseReleaseMs, never, (signal) => lease.release({ signal }));
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    log.warn({ err: error }, 'Cannot give the lease back');
  }
}

/** Runs a task whose signal aborts after `ms`, or with `outer`. */
async function within<T>(
  clock: SchedulerOptions['clock'],
  ms: number,
  outer: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [late, done] = [new AbortController(), new AbortController()];
  const timer = clock.sleep(ms, AbortSignal.any([done.signal, outer])).then(() => late.abort());
  try {
    return await task(AbortSignal.any([late.signal, outer]));
  } finally {
    done.abort();
    await timer;
  }
}
