/** `tidemark archive`: settings → store, Kafka → archiver. The archiver itself is in `workers/`. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
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
    .action((flags: Flags) => archive(context, flags));
}

async function archive(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const { openStore } = await import('../../workers/clients/objects.ts');
  const { openKafka } = await import('../../workers/clients/kafka.ts');
  const { runArchiver } = await import('../../workers/archive.ts');
  const log = logOf(context, settings);
  const kafka = settings.KAFKA_BROKERS === '' ? undefined : openKafka(settings, log);
  const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  const store = openStore(settings);
  try {
    const report = await runArchiver({
      store,
      ...(kafka && { kafka }),
      settings,
      transcoder: await WebAssembly.compile(new Uint8Array(await readFile(wasm))),
      clock: {
        now: context.now,
        sleep: (ms, signal) => pause(ms, undefined, signal && { signal }).catch(() => undefined),
      },
      random: (byteCount) => randomBytes(byteCount),
      log,
      signal: context.signal,
      codeVersion: manifest.version,
      ...(flags.signal && { signals: flags.signal }),
      once: flags.once ?? false,
    });
    const { commits, requests, rowsOf, files } = report;
    const items = `${rowsOf.traces} spans, ${rowsOf.logs} log records, ${rowsOf.metrics} points`;
    const text = `Archived ${items} of ${requests} requests: ${files} files, ${commits} commits`;
    context.stdout.write(`${flags.json ? JSON.stringify(report) : text}\n`);
  } finally {
    store.close();
  }
}
