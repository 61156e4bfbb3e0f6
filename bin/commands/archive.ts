/** `tidemark archive`: settings → store, Kafka → archiver. The archiver itself is in `workers/`. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Registry } from 'prom-client';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Log } from '../../workers/context.ts';
import type { Vitals } from '../../workers/watch/vitals.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { collectBuffers, collectLess } from '../heap.ts';
import { openMonitor } from '../monitor.ts';
import { openRegistry } from '../registry.ts';
import manifest from '../../package.json' with { type: 'json' };

interface Flags {
  readonly signal?: readonly Signal[];
  readonly once?: boolean;
  readonly json?: boolean;
}

/** The command; prints how much it archived when it ends. */
export function archiveCommand(context: Context): Command {
  return new Command('archive')
    .description('move what is in Kafka and in the spool into Parquet files and commit it')
    .addOption(
      new Option('--signal <signal...>', 'archive only these').choices(Object.keys(topics)),
    )
    .option('--once', 'archive what waits now, then end')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', examples)
    .action((flags: Flags) => archive(context, flags));
}

const examples = `
Examples:
  tidemark archive                          for as long as it is left to run; SIGTERM ends it
  tidemark archive --once                   what waits now, such as from cron
  tidemark archive --signal traces          one of several fleets, each with its own signals

Any number of archivers share the partitions out. While it runs it serves /metrics, /healthz and
/readyz on TIDEMARK_METRICS_HOST:TIDEMARK_METRICS_PORT (127.0.0.1:9464); see docs/FLEET.md.`;

/** How often it is looked whether a line of progress is due. */
const progressMs = 1000;

async function archive(context: Context, flags: Flags): Promise<void> {
  collectLess();
  collectBuffers();
  const settings = settingsOf(context);
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { openKafka } = await import('../../workers/clients/kafka/kafka.ts');
  const { earlierClock } = await import('../../workers/clients/store/clock.ts');
  const { runArchiver } = await import('../../workers/archive.ts');
  const { Vitals } = await import('../../workers/watch/vitals.ts');
  const log = logOf(context, settings);
  const kafka = settings.KAFKA_BROKERS === '' ? undefined : openKafka(settings, log);
  const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  const store = openStore(settings);
  const registry = openRegistry();
  const vitals = new Vitals(context.now);
  const shown = await show({ settings, registry, vitals, log, once: flags.once ?? false }, context);
  try {
    const report = await runArchiver({
      store,
      ...(kafka && { kafka }),
      settings,
      transcoder: await WebAssembly.compile(new Uint8Array(await readFile(wasm))),
      clock: {
        now: earlierClock(store, context.now, log),
        sleep: (ms, signal) => pause(ms, undefined, signal && { signal }).catch(() => undefined),
      },
      random: (byteCount) => randomBytes(byteCount),
      log,
      signal: context.signal,
      codeVersion: manifest.version,
      registry,
      vitals,
      ...(flags.signal && { signals: flags.signal }),
      once: flags.once ?? false,
      columnPagesMax: Math.floor(settings.TIDEMARK_ENCODE_BYTES_MAX / 65_536),
      threads: settings.TIDEMARK_ARCHIVE_THREADS || Math.max(1, availableParallelism() - 1),
    });
    const { commits, requests, rowsOf, files } = report;
    const items = `${rowsOf.traces} spans, ${rowsOf.logs} log records, ${rowsOf.metrics} points`;
    const text = `Archived ${items} of ${requests} requests: ${files} files, ${commits} commits`;
    context.stdout.write(`${flags.json ? JSON.stringify(report) : text}\n`);
    // A service that is told to stop has done what it should; what waits now was to be archived to its end.
    if (flags.once) context.signal.throwIfAborted();
  } finally {
    store.close();
    await shown.close();
  }
}

interface Shown {
  readonly settings: Settings;
  readonly registry: Registry;
  readonly vitals: Vitals;
  readonly log: Log;
  readonly once: boolean;
}

/** Serves metrics and probes, and writes progress to the log, until it is closed. */
async function show(shown: Shown, context: Context): Promise<{ close(): Promise<void> }> {
  const { settings, vitals, log } = shown;
  const { Progress } = await import('../../workers/watch/progress.ts');
  const isServed = settings.TIDEMARK_METRICS_PORT !== 0 && !shown.once;
  const monitor = isServed ? await openMonitor(shown, context) : undefined;
  const progress = new Progress({ vitals, now: context.now });
  const timer = setInterval(() => {
    const line = progress.next();
    if (line) log.info(line.fields, line.message);
  }, progressMs);
  return {
    async close() {
      clearInterval(timer);
      await monitor?.close();
    },
  };
}
