/** `tidemark batch shard` and `tidemark batch merge`: a period as a job of several processes. */
import { Command, InvalidArgumentError } from 'commander';
import type { JobOptions } from '../../../batch/job.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { SettingError, TidemarkError } from '../../../schemas/errors.ts';
import { jobProcessesMax } from '../../../schemas/limits/fleet.ts';
import type { Period } from '../../../schemas/period.ts';
import { logOf, type Context } from '../../context.ts';
import { CommandFailed } from '../../outcome.ts';
import { stageOf, withProgress, type See } from '../../progress.ts';
import { nameOf } from '../../runner.ts';
import {
  lineOf,
  periodOf,
  signalOption,
  withClients,
  withPeriod,
  type Clients,
} from './options.ts';

interface JobFlags {
  readonly date: Period;
  readonly hour?: string;
  readonly signal?: Signal;
  readonly job?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

interface ShardFlags extends JobFlags {
  readonly index?: number;
  readonly of: number;
}

const jobHelp =
  'name of the job, the same for all of its processes and its merge (default: the period)';

/** The command; prints what this process has computed of each signal. */
export function batchShardCommand(context: Context): Command {
  const command = new Command('shard').description(
    "compute one process's share of a period: for jobs that start several at once; then `batch merge`",
  );
  return withPeriod(command, true)
    .option('--index <I>', 'number of this process, from 0 (default: JOB_COMPLETION_INDEX)', count)
    .requiredOption('--of <N>', 'how many processes there are', count)
    .option('--job <name>', jobHelp)
    .addOption(signalOption())
    .option('--force', 'compute again although nothing has changed')
    .option('--json', 'print one line of JSON for each signal')
    .addHelpText('after', shardExamples)
    .action((flags: ShardFlags) => computeShare(context, flags));
}

const shardExamples = `
Examples:
  tidemark batch shard --date 2026-11-21 --index 0 --of 2 --job nightly-17
  tidemark batch shard --date 2026-11-21 --of 8 --job "$JOB_NAME"    in an Indexed Job of Kubernetes

The first process plans the period, and all go by its plan. See docs/BATCHFLEET.md.`;

/** The command; prints what became of each signal. */
export function batchMergeCommand(context: Context): Command {
  const command = new Command('merge').description(
    'merge and publish what the processes of `batch shard` have computed',
  );
  return withPeriod(command, true)
    .option('--job <name>', jobHelp)
    .addOption(signalOption())
    .option('--json', 'print one line of JSON for each signal')
    .addHelpText('after', mergeExamples)
    .action((flags: JobFlags) => merge(context, flags));
}

const mergeExamples = `
Examples:
  tidemark batch merge --date 2026-11-21 --job nightly-17

While shards are missing, it names them, publishes nothing and ends with 1.`;

async function computeShare(context: Context, flags: ShardFlags): Promise<void> {
  const processes = flags.of;
  const index = flags.index ?? indexOf(context);
  if (processes < 1 || index >= processes) {
    const message = `Cannot be process ${index} of ${processes}: --index is below --of, and from 0`;
    throw new SettingError('index', message);
  }
  const { runShare } = await import('../../../batch/job.ts');
  await eachSignal(context, flags, async (options) => {
    const report = await runShare({ ...options, index, processes, name: nameOf() });
    return flags.json === true ? JSON.stringify(report) : report.message;
  });
}

async function merge(context: Context, flags: JobFlags): Promise<void> {
  const { mergeJob } = await import('../../../batch/job.ts');
  await eachSignal(context, flags, async (options) => {
    const report = await mergeJob(options);
    return flags.json === true ? lineOf(report) : report.message;
  });
}

/** Does `task` for each signal; what fails for one does not keep the others from being done. */
async function eachSignal(
  context: Context,
  flags: JobFlags,
  task: (options: JobOptions) => Promise<string>,
): Promise<void> {
  const period = periodOf(flags.date, flags.hour);
  const { signalsOf } = await import('../../../batch/signals.ts');
  const wanted = flags.signal === undefined ? signalsOf(period.kind) : [flags.signal];
  const work = async ({ settings, store, clickhouse }: Clients, see: See): Promise<void> => {
    const log = logOf(context, settings);
    const failures: string[] = [];
    for (const of of wanted) {
      const options: JobOptions = {
        store,
        clickhouse,
        settings,
        log,
        clock: context.now,
        random: () => Math.random(),
        onProgress: (progress) => see(stageOf(progress)),
        signal: context.signal,
        period,
        of,
        force: flags.force ?? false,
        job: flags.job ?? period.name,
      };
      try {
        context.stdout.write(`${await task(options)}\n`);
      } catch (error) {
        if (!(error instanceof TidemarkError) || context.signal.aborted) throw error;
        if (error instanceof SettingError) throw error;
        failures.push(`${period.name} (${of}): ${error.message}`);
      }
    }
    if (failures.length > 0) throw new CommandFailed(failures.join('; '));
  };
  await withProgress(context, (see) => withClients(context, (clients) => work(clients, see)));
}

/** The number that Kubernetes gives each pod of an Indexed Job. */
function indexOf({ environment }: Context): number {
  const text = environment['JOB_COMPLETION_INDEX'];
  if (text !== undefined && /^\d{1,5}$/.test(text)) return Number(text);
  const message = 'Cannot tell which process this is: give --index, or set JOB_COMPLETION_INDEX';
  throw new SettingError('index', message);
}

function count(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= jobProcessesMax) return Number(text);
  throw new InvalidArgumentError(`A whole number up to ${jobProcessesMax} is wanted`);
}
