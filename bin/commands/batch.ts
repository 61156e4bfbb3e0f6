/** `tidemark batch`: computes days exactly and proves published ones. The work is in `batch/`. */
import { Command } from 'commander';
import type { DailyOptions } from '../../batch/daily.ts';
import type { RunReport } from '../../batch/run.ts';
import type { Difference } from '../../batch/verify.ts';
import { startOfDay } from '../../batch/schedule.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/objects.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
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
  const { runDueDays } = await import('../../batch/daily.ts');
  const { runBatch } = await import('../../batch/run.ts');
  await withClients(context, async ({ settings, store, clickhouse }) => {
    const log = logOf(context, settings);
    const options: DailyOptions = {
      store,
      clickhouse,
      settings,
      log,
      clock: context.now,
      random: () => Math.random(),
      onProgress: (progress) => log.debug(progress, 'batch'),
      signal: context.signal,
    };
    const print = (report: RunReport): void => {
      context.stdout.write(`${flags.json ? JSON.stringify(report) : report.message}\n`);
    };
    if (flags.date !== undefined) {
      print(await runBatch({ ...options, date: flags.date, force: flags.force ?? false }));
      return;
    }
    const { runs, failures } = await runDueDays(options);
    for (const report of runs) print(report);
    if (runs.length + failures.length === 0 && !flags.json) context.stdout.write('No day is due\n');
    if (failures.length === 0) return;
    const reasons = failures.map(({ date: day, error }) => `${day}: ${error.message}`);
    throw new CommandFailed(`Cannot compute every day that is due: ${reasons.join('; ')}`);
  });
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
      : differences.map(lineOf).join('\n');
    context.stdout.write(`${flags.json ? JSON.stringify(result) : text}\n`);
    if (!report.equal) throw new CommandFailed(`${flags.date} is not what its files say`);
  });
}

function lineOf(difference: Difference): string {
  const { serviceName, operationName, figure, published, recomputed } = difference;
  return `${serviceName} ${operationName} ${figure}: ${published}, recomputed ${recomputed}`;
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

/** The text itself; throws `TidemarkError` BAD_SETTING when it is no day. */
function date(text: string): string {
  startOfDay(text);
  return text;
}
