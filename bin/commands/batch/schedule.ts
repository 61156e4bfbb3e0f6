/** `tidemark batch schedule`: keeps the batch's schedule. The scheduler itself is in `batch/`. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { logOf, type Context } from '../../context.ts';
import { collectLess } from '../../heap.ts';
import { openMonitor } from '../../monitor.ts';
import { openRegistry } from '../../registry.ts';
import { runnerOf } from '../../runner.ts';
import { withClients } from './options.ts';

interface ScheduleFlags {
  readonly catchUp?: boolean;
  readonly ticks?: boolean;
}

/** The command; ends at SIGTERM, once the lease is given back. */
export function batchScheduleCommand(context: Context): Command {
  return new Command('schedule')
    .description(
      'run the batch by itself: hours and days when they are due, and again after late data',
    )
    .option('--catch-up', 'also compute what fell into a time when no scheduler ran')
    .option('--ticks', 'take ticks from the store alone: a Worker or somebody else keeps the time')
    .addHelpText('after', examples)
    .action((flags: ScheduleFlags) => schedule(context, flags));
}

const examples = `
Examples:
  tidemark batch schedule                   for as long as it is left to run; SIGTERM ends it
  tidemark batch schedule --catch-up        what was missed is computed at once
  tidemark batch schedule --ticks           only when a tick is stored, as by the edge's cron triggers

Days run at TIDEMARK_BATCH_CRON (04:00 UTC), hours at TIDEMARK_BATCH_HOUR_CRON (ten past). Any
number of schedulers may run: one leads. While it runs it serves /metrics, /healthz and /readyz on
TIDEMARK_METRICS_HOST:TIDEMARK_METRICS_PORT (127.0.0.1:9464); see docs/SCHEDULE.md.`;

const monotonicMs = () => performance.now();
const random = () => Math.random();

async function schedule(context: Context, flags: ScheduleFlags): Promise<void> {
  collectLess();
  const { runScheduler } = await import('../../../batch/scheduler.ts');
  const { scheduleCounters } = await import('../../../batch/scheduler/counters.ts');
  const { Pulse } = await import('../../../batch/scheduler/pulse.ts');
  const { earlierClock } = await import('../../../workers/clients/store/clock.ts');
  const { batchWork } = await import('../../../batch/scheduler/work.ts');
  await withClients(context, async ({ settings, store, clickhouse }) => {
    const log = logOf(context, settings);
    const now = earlierClock(store, context.now, log);
    const clock = {
      now,
      monotonicMs,
      sleep: (ms: number, signal?: AbortSignal) =>
        pause(ms, undefined, signal && { signal }).catch(() => undefined),
    };
    const registry = openRegistry();
    const pulse = new Pulse(monotonicMs);
    const isServed = settings.TIDEMARK_METRICS_PORT !== 0;
    const shown = { settings, registry, vitals: pulse, log };
    const monitor = isServed ? await openMonitor(shown, context) : undefined;
    try {
      await runScheduler({
        store,
        clickhouse,
        settings,
        clock,
        log,
        pulse,
        counters: scheduleCounters(registry),
        work: batchWork({
          store,
          clickhouse,
          settings,
          log,
          random,
          clock: now,
          ...(await runnerOf(context, { settings, store, log })),
        }),
        catchUp: flags.catchUp ?? false,
        ticksOnly: flags.ticks ?? false,
        holder: randomBytes(8).toString('hex'),
        name: `${hostname()}/${process.pid}`,
        signal: context.signal,
      });
    } finally {
      await monitor?.close();
    }
  });
}
