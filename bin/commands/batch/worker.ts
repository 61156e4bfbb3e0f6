/** `tidemark batch worker`: settings → store, Kafka → worker. The worker itself is in `batch/fleet/`. */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { logOf, settingsOf, type Context } from '../../context.ts';
import { openMonitor } from '../../monitor.ts';
import { openRegistry } from '../../registry.ts';
import { assertKafka, clockOf, nameOf } from '../../runner.ts';

interface WorkerFlags {
  readonly concurrency?: number;
  readonly json?: boolean;
}

/** The command; prints how its tasks ended when it ends. */
export function batchWorkerCommand(context: Context): Command {
  return new Command('worker')
    .description('compute shards for batches that run elsewhere: one of any number of machines')
    .option(
      '--concurrency <shards>',
      'shards computed at a time, a thread each; they share TIDEMARK_BATCH_MEMORY_BYTES',
      threads,
    )
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', examples)
    .action((flags: WorkerFlags) => work(context, flags));
}

const examples = `
Examples:
  tidemark batch worker                     for as long as it is left to run; SIGTERM ends it
  tidemark batch worker --concurrency 2     two shards at a time; without it TIDEMARK_BATCH_THREADS

Whoever runs the batch sets TIDEMARK_BATCH_FLEET=on and the same KAFKA_BROKERS. While it runs it
serves /metrics, /healthz and /readyz on TIDEMARK_METRICS_HOST:TIDEMARK_METRICS_PORT
(127.0.0.1:9464); see docs/BATCHFLEET.md.`;

async function work(context: Context, flags: WorkerFlags): Promise<void> {
  const settings = settingsOf(context);
  assertKafka(settings);
  const { openStore } = await import('../../../workers/clients/store/objects.ts');
  const { openKafka } = await import('../../../workers/clients/kafka/kafka.ts');
  const { runWorker } = await import('../../../batch/fleet/worker.ts');
  const { WorkerState } = await import('../../../batch/fleet/state.ts');
  const log = logOf(context, settings);
  const store = openStore(settings);
  const registry = openRegistry();
  const state = new WorkerState(context.now);
  const shown = { settings, registry, vitals: state, log };
  const isServed = settings.TIDEMARK_METRICS_PORT !== 0;
  const monitor = isServed ? await openMonitor(shown, context) : undefined;
  const concurrency =
    flags.concurrency ?? (settings.TIDEMARK_BATCH_THREADS || availableParallelism());
  try {
    const { tasks } = await runWorker({
      kafka: openKafka(settings, log),
      store,
      settings: { ...settings, TIDEMARK_BATCH_THREADS: concurrency },
      clock: clockOf(context),
      random: () => Math.random(),
      log,
      name: nameOf(),
      concurrency,
      registry,
      state,
      signal: context.signal,
    });
    const { done, split, failed, returned } = tasks;
    const text = `Computed ${done} shards; ${split} split, ${failed} failed, ${returned} handed back`;
    context.stdout.write(`${flags.json === true ? JSON.stringify({ tasks }) : text}\n`);
  } finally {
    store.close();
    await monitor?.close();
  }
}

function threads(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('A whole number from 1 to 999 is wanted');
}
