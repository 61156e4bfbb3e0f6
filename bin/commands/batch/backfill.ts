/** `tidemark batch backfill`: brings a range of periods up to date. The work is in `batch/backfill.ts`. */
import { Command, InvalidArgumentError } from 'commander';
import type { BackfillReport, BackfillStep } from '../../../batch/backfill.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { SettingError } from '../../../schemas/errors.ts';
import { backfillParallelMax } from '../../../schemas/limits/batch.ts';
import { periodAt, periodLengthMs } from '../../../schemas/period.ts';
import { logOf, type Context } from '../../context.ts';
import { describeMs } from '../../duration.ts';
import { CommandFailed } from '../../outcome.ts';
import { stageOf, withProgress, type See } from '../../progress.ts';
import { rangeOf, withRange, type RangeFlags } from '../../range.ts';
import { runnerOf } from '../../runner.ts';
import { lineOf, signalOption, withClients, type Clients } from './options.ts';

interface BackfillFlags extends RangeFlags {
  readonly signal?: Signal;
  readonly hours?: boolean;
  readonly parallel: number;
  readonly json?: boolean;
}

/** The command; exit code 1 when a period failed, after all the others were done. */
export function batchBackfillCommand(context: Context): Command {
  const command = new Command('backfill').description(
    'bring a range of days or hours up to date, oldest first; what is so already is skipped',
  );
  return withRange(command)
    .addOption(signalOption())
    .option('--hours', 'the hours of the range, of traces, not its days')
    .option('--parallel <count>', 'periods at a time; they share the threads out', count, 1)
    .option('--json', 'print one line of JSON for each signal of a period')
    .addHelpText('after', examples)
    .action((flags: BackfillFlags) => run(context, flags));
}

const examples = `
Examples:
  tidemark batch backfill --from 2026-11-01                  up to what has ended
  tidemark batch backfill --from 2026-11-01 --to 2026-11-08  the first week
  tidemark batch backfill --date 2026-11-21 --hours --parallel 2
  tidemark batch backfill --from 2026-11-01 --signal logs --json

Started again after a stop or a failure, it goes on where it was.`;

async function run(context: Context, flags: BackfillFlags): Promise<void> {
  const range = periodsOf(flags, context.now());
  const { askedClock } = await import('../../../workers/clients/store/clock.ts');
  const { backfill } = await import('../../../batch/backfill.ts');
  const work = async ({ settings, store, clickhouse }: Clients, see: See) => {
    const log = logOf(context, settings);
    const startedMs = context.now();
    return backfill({
      store,
      clickhouse,
      settings,
      log,
      range,
      clock: await askedClock(store, context.now, log),
      random: () => Math.random(),
      ...(await runnerOf(context, { settings, store, log })),
      parallel: flags.parallel,
      ...(flags.signal !== undefined && { signals: [flags.signal] }),
      onStep: (step, done, all) => {
        const elapsedMs = context.now() - startedMs;
        const leftMs = (elapsedMs / done) * (all - done);
        const left = done === all ? '' : `, ${describeMs(leftMs)} left`;
        context.stderr.write(`${done}/${all}${left}: ${textOf(step)}\n`);
        if (flags.json) context.stdout.write(`${jsonOf(step)}\n`);
      },
      onProgress: (progress) => see(stageOf(progress)),
      signal: context.signal,
    });
  };
  const report = await withProgress(context, (see) =>
    withClients(context, (clients) => work(clients, see)),
  );
  conclude(context, report, flags);
}

function conclude(
  context: Context,
  { steps, running }: BackfillReport,
  flags: BackfillFlags,
): void {
  const failed = steps.filter(({ error }) => error !== undefined);
  const changed = steps.filter(({ report }) => report && report.outcome !== 'unchanged');
  if (!flags.json) {
    const late = running > 0 ? `; ${running} of the range have not ended` : '';
    const same = steps.length - changed.length - failed.length;
    const text = `${changed.length} published, ${same} up to date, ${failed.length} failed${late}`;
    context.stdout.write(`${text}\n`);
  }
  if (failed.length === 0) return;
  const names = failed.map(({ period, signal }) => `${period.name} (${signal})`).join(', ');
  throw new CommandFailed(`Cannot compute ${names}`);
}

function textOf({ report, error, period, signal }: BackfillStep): string {
  return report?.message ?? `${period.name} (${signal}) failed: ${error?.message ?? ''}`;
}

function jsonOf({ report, error, period, signal }: BackfillStep): string {
  if (report) return lineOf(report);
  const { code, message } = error ?? {};
  return lineOf({ period, of: signal, outcome: 'failed', code, message });
}

/** Throws `SettingError` for a range that is none, and for parts of days where days are wanted. */
function periodsOf(flags: BackfillFlags, nowMs: number) {
  const { hours, signal } = flags;
  if (flags.date === undefined && flags.from === undefined) {
    throw new SettingError('from', 'Cannot backfill without a range: give --from or --date');
  }
  if (hours && signal !== undefined && signal !== 'traces') {
    throw new SettingError(
      'signal',
      `Cannot run hours of ${signal}: only traces have runs of them`,
    );
  }
  const kind = hours ? ('hour' as const) : ('day' as const);
  const { fromMs, toMs } = rangeOf(flags, { fromMs: 0, toMs: periodAt(kind, nowMs).startMs });
  if ([fromMs, toMs].some((ms) => ms % periodLengthMs[kind] !== 0)) {
    throw new SettingError('hours', 'Cannot use hours in this range: give --hours as well');
  }
  return { kind, fromMs, toMs };
}

function count(text: string): number {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= backfillParallelMax) return value;
  throw new InvalidArgumentError(`It is not a whole number from 1 to ${backfillParallelMax}`);
}
