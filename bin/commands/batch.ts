/** `tidemark batch`: computes days exactly and proves published ones. The work is in `batch/`. */
import { Command, Option } from 'commander';
import type { DailyOptions, DailyReport } from '../../batch/daily.ts';
import type { RunReport } from '../../batch/run.ts';
import type { Difference } from '../../batch/verify.ts';
import { startOfDay } from '../../batch/schedule.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/objects.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { CommandFailed } from '../outcome.ts';

interface RunFlags {
  readonly date?: string;
  readonly signal?: Signal;
  readonly due?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

interface VerifyFlags {
  readonly date: string;
  readonly signal?: Signal;
  readonly json?: boolean;
}

interface Clients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

const signalOption = () =>
  new Option('--signal <signal>', 'only this signal; without it, all that there are').choices([
    'traces',
    'logs',
    'metrics',
  ]);

const dateHelp = 'the day, UTC, such as 2026-11-21';

/** The commands `batch run` and `batch verify`. */
export function batchCommand(context: Context): Command {
  const run = new Command('run')
    .description('compute a day exactly from the archive and publish it, each signal by itself')
    .option('--date <YYYY-MM-DD>', dateHelp, date)
    .addOption(signalOption())
    .option('--due', 'every ended day that is missing, dirty or complete by now, oldest first')
    .option('--force', 'compute again although nothing has changed, or a day that has not ended')
    .option('--json', 'print one line of JSON for each signal of a day')
    .action((flags: RunFlags, command: Command) => runDays(context, flags, command));
  const verify = new Command('verify')
    .description("recompute a published day with ClickHouse's engine from Parquet and compare")
    .requiredOption('--date <YYYY-MM-DD>', dateHelp, date)
    .addOption(signalOption())
    .option('--json', 'print one line of JSON for each signal')
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
  const { runDay, runDueDays } = await import('../../batch/daily.ts');
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
      ...(flags.signal !== undefined && { signals: [flags.signal] }),
    };
    const report =
      flags.date === undefined
        ? await runDueDays(options)
        : await runDay({ ...options, date: flags.date, force: flags.force ?? false });
    print(context, report, flags.json ?? false);
  });
}

function print(context: Context, { runs, failures }: DailyReport, json: boolean): void {
  const text = (report: RunReport) => (json ? JSON.stringify(report) : report.message);
  for (const report of runs) context.stdout.write(`${text(report)}\n`);
  if (runs.length + failures.length === 0 && !json) context.stdout.write('No day is due\n');
  if (failures.length === 0) return;
  const reasons = failures.map(({ date: day, signal, error }) => {
    return `${day} (${signal}): ${error.message}`;
  });
  throw new CommandFailed(`Cannot compute everything that is due: ${reasons.join('; ')}`);
}

async function verifyDay(context: Context, flags: VerifyFlags): Promise<void> {
  const { signalsOf } = await import('../prove.ts');
  await withClients(context, async (clients) => {
    const { signal: only, date: day } = flags;
    const wanted = only === undefined ? await signalsOf(clients.clickhouse, day) : [only];
    const bad: Signal[] = [];
    for (const signal of wanted) {
      if (!(await verifySignal(context, clients, { ...flags, signal }))) bad.push(signal);
    }
    if (bad.length === 0) return;
    throw new CommandFailed(`${day} (${bad.join(', ')}) is not what its files say`);
  });
}

/** Whether the published figures are those of the files; says so. */
async function verifySignal(
  context: Context,
  clients: Clients,
  { date: day, signal, json }: VerifyFlags & { readonly signal: Signal },
): Promise<boolean> {
  const { proveDate } = await import('../prove.ts');
  const { runId, report } = await proveDate(clients, day, signal);
  const result = { date: day, signal, runId, ...report };
  const { rows, figures, differences, equal } = report;
  const text = equal
    ? `${day} (${signal}) is proved: ${rows} rows, ${figures} figures, 0 differences`
    : differences.map(lineOf).join('\n');
  context.stdout.write(`${json === true ? JSON.stringify(result) : text}\n`);
  return equal;
}

function lineOf(difference: Difference): string {
  const { group, figure, published, recomputed } = difference;
  return `${group} ${figure}: ${published}, recomputed ${recomputed}`;
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
