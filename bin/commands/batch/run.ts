/** `tidemark batch run`: computes periods and publishes them. The work is in `batch/`. */
import { Command, Option } from 'commander';
import type { DueOptions, DueReport } from '../../../batch/due.ts';
import type { RunReport } from '../../../batch/run.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { SettingError } from '../../../schemas/errors.ts';
import { batchKernelsBytesMin } from '../../../schemas/limits/batch.ts';
import type { Period, PeriodKind } from '../../../schemas/period.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { logOf, type Context } from '../../context.ts';
import { CommandFailed } from '../../outcome.ts';
import { stageOf, withProgress, type See } from '../../progress.ts';
import { runnerOf } from '../../runner.ts';
import { sizeBytes } from '../../size.ts';
import { lineOf, periodOf, signalOption, withClients, withPeriod } from './options.ts';

interface RunFlags {
  readonly date?: Period;
  readonly hour?: string;
  readonly signal?: Signal;
  readonly due?: boolean;
  readonly kind: PeriodKind;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly memory?: number;
}

/** The command; prints what became of each signal of each period. */
export function batchRunCommand(context: Context): Command {
  const command = new Command('run').description(
    'compute a day or an hour exactly from the archive and publish it, each signal by itself',
  );
  const kind = new Option('--kind <kind>', 'with --due, which periods');
  return withPeriod(command, false)
    .addOption(signalOption())
    .option('--due', 'every ended period that is missing, dirty or complete by now, oldest first')
    .addOption(kind.choices(['day', 'hour']).default('day').conflicts('date'))
    .option('--force', 'compute again although nothing has changed, or before the period has ended')
    .option('--memory <bytes>', 'memory of this process, such as 1GiB', sizeBytes)
    .option('--json', 'print one line of JSON for each signal of a period')
    .addHelpText('after', examples)
    .action((flags: RunFlags) => run(context, flags, command));
}

const examples = `
Examples:
  tidemark batch run --date 2026-11-21
  tidemark batch run --date 2026-11-21 --hour 13
  tidemark batch run --due
  tidemark batch run --due --kind hour --json
  tidemark batch run --date 2026-11-21 --memory 4GiB`;

async function run(context: Context, flags: RunFlags, command: Command): Promise<void> {
  const period = flags.date && periodOf(flags.date, flags.hour);
  if ((period === undefined) === (flags.due === undefined)) {
    command.error('error: give either --date or --due');
  }
  const report = await withProgress(context, (see) => compute(context, flags, period, see));
  print(context, report, flags);
}

async function compute(
  context: Context,
  flags: RunFlags,
  period: Period | undefined,
  see: See,
): Promise<DueReport> {
  const { askedClock } = await import('../../../workers/clients/store/clock.ts');
  const { runDue, runPeriod, wantedOf } = await import('../../../batch/due.ts');
  const asked = flags.signal === undefined ? {} : { signals: [flags.signal] };
  // What nobody can run is said before anything is asked of the store.
  const signals = wantedOf(asked, period?.kind ?? flags.kind);
  return withClients(context, async ({ settings: given, store, clickhouse }) => {
    const settings = withMemory(given, flags.memory);
    const log = logOf(context, settings);
    const options: Omit<DueOptions, 'kind'> = {
      store,
      clickhouse,
      settings,
      log,
      clock: await askedClock(store, context.now, log),
      random: () => Math.random(),
      ...(await runnerOf(context, { settings, store, log })),
      onProgress: (progress) => see(stageOf(progress)),
      signal: context.signal,
      signals,
    };
    return period === undefined
      ? runDue({ ...options, kind: flags.kind })
      : runPeriod({ ...options, period, force: flags.force ?? false });
  });
}

/** The settings with the memory that the command line asks for. Throws `SettingError` for too little. */
function withMemory(settings: Settings, memory: number | undefined): Settings {
  if (memory === undefined) return settings;
  if (memory < batchKernelsBytesMin) {
    throw new SettingError(
      '--memory',
      `Cannot run the batch in ${memory} bytes, the least is ${batchKernelsBytesMin}`,
    );
  }
  return { ...settings, TIDEMARK_BATCH_MEMORY_BYTES: memory };
}

function print(context: Context, { runs, failures }: DueReport, flags: RunFlags): void {
  const { kind, json, date } = flags;
  const text = (report: RunReport) => (json === true ? lineOf(report) : report.message);
  for (const report of runs) context.stdout.write(`${text(report)}\n`);
  if (runs.length + failures.length === 0 && json !== true) {
    context.stdout.write(`No ${kind} is due\n`);
  }
  if (failures.length === 0) return;
  const reasons = failures.map(({ period, signal, error }) => {
    return `${period.name} (${signal}): ${error.message} [${error.code}]`;
  });
  const what = date === undefined ? 'everything that is due' : 'all of it';
  throw new CommandFailed(`Cannot compute ${what}: ${reasons.join('; ')}`);
}
