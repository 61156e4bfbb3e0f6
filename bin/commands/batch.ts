/** `tidemark batch`: computes days exactly and proves published ones. The work is in `batch/`. */
import { Command, InvalidArgumentError } from 'commander';
import { dueDays, startOfDay } from '../../batch/schedule.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/objects.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { readDays } from '../days.ts';
import { CommandFailed } from '../outcome.ts';

interface RunFlags {
  readonly date?: string;
  readonly due?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

interface VerifyFlags {
  readonly date: string;
  readonly json?: boolean;
}

interface Clients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

const dateHelp = 'the day, UTC, such as 2026-11-21';

/** The commands `batch run` and `batch verify`. */
export function batchCommand(context: Context): Command {
  const run = new Command('run')
    .description('compute a day exactly from the archive and publish it')
    .option('--date <YYYY-MM-DD>', dateHelp, date)
    .option('--due', 'every ended day that is missing, dirty or complete by now, oldest first')
    .option('--force', 'compute again although nothing has changed, or a day that has not ended')
    .option('--json', 'print one line of JSON for each day')
    .action((flags: RunFlags, command: Command) => runDays(context, flags, command));
  const verify = new Command('verify')
    .description("recompute a published day with ClickHouse's engine from Parquet and compare")
    .requiredOption('--date <YYYY-MM-DD>', dateHelp, date)
    .option('--json', 'print the result as one line of JSON')
    .action((flags: VerifyFlags) => verifyDay(context, flags));
  return new Command('batch')
    .description('compute and prove the exact figures of days')
    .addCommand(run)
    .addCommand(verify);
}

async function runDays(context: Context, flags: RunFlags, command: Command): Promise<void> {
  if ((flags.date === undefined) === (flags.due === undefined)) {
    command.error('error: give either --date or --due');
  }
  const { runBatch } = await import('../../batch/run.ts');
  await withClients(context, async ({ settings, store, clickhouse }) => {
    const log = logOf(context, settings);
    const dates =
      flags.date === undefined ? await due(context, { settings, store, clickhouse }) : [flags.date];
    for (const day of dates) {
      const report = await runBatch({
        store,
        clickhouse,
        settings,
        log,
        date: day,
        clock: context.now,
        random: () => Math.random(),
        force: flags.force ?? false,
        onProgress: ({ phase, shardsDone, shardCount, rows }) => {
          log.debug({ date: day, phase, shardsDone, shardCount, rows }, 'batch');
        },
        signal: context.signal,
      });
      context.stdout.write(`${flags.json ? JSON.stringify(report) : report.message}\n`);
    }
    if (dates.length === 0 && !flags.json) context.stdout.write('No day is due\n');
  });
}

async function due(context: Context, { settings, store, clickhouse }: Clients): Promise<string[]> {
  const days = await readDays(store, clickhouse, context.now());
  return dueDays(days, settings.TIDEMARK_ALLOWED_LATENESS_MS).map((day) => day.date);
}

async function verifyDay(context: Context, flags: VerifyFlags): Promise<void> {
  const { proveDate } = await import('../prove.ts');
  await withClients(context, async (clients) => {
    const { runId, report } = await proveDate(clients, flags.date);
    const result = { date: flags.date, runId, ...report };
    const { rows, figures, differences } = report;
    const compared = `${rows} rows, ${figures} figures`;
    const text = report.equal
      ? `${flags.date} is proved: ${compared}, 0 differences`
      : differences
          .map(
            (d) =>
              `${d.serviceName} ${d.operationName} ${d.figure}: ${d.published}, recomputed ${d.recomputed}`,
          )
          .join('\n');
    context.stdout.write(`${flags.json ? JSON.stringify(result) : text}\n`);
    if (!report.equal) throw new CommandFailed(`${flags.date} is not what its files say`);
  });
}

async function withClients(
  context: Context,
  task: (clients: Clients) => Promise<void>,
): Promise<void> {
  const { openStore } = await import('../../workers/clients/objects.ts');
  const { openClickHouse } = await import('../../workers/clients/clickhouse.ts');
  const settings = settingsOf(context);
  const [store, clickhouse] = [openStore(settings), openClickHouse(settings)];
  try {
    await task({ settings, store, clickhouse });
  } finally {
    store.close();
    await clickhouse.close();
  }
}

function date(text: string): string {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(startOfDay(text));
  if (isDay && new Date(startOfDay(text)).toISOString().startsWith(text)) return text;
  throw new InvalidArgumentError('It is not a day such as 2026-11-21.');
}
