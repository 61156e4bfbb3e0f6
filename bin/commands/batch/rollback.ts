/** `tidemark batch rollback`: makes an earlier run current again. The work is in `batch/rollback.ts`. */
import { Command, Option } from 'commander';
import type { Signal } from '../../../schemas/archive.ts';
import type { Period } from '../../../schemas/period.ts';
import type { Context } from '../../context.ts';
import { lineOf, periodOf, withClients, withPeriod } from './options.ts';

interface RollbackFlags {
  readonly date: Period;
  readonly hour?: string;
  readonly signal: Signal;
  readonly run?: string;
  readonly json?: boolean;
}

/** The command; prints which run of the period is current now. */
export function batchRollbackCommand(context: Context): Command {
  const command = new Command('rollback').description(
    'make an earlier run of a day or hour current again, for all readers at once',
  );
  const signal = new Option('--signal <signal>', 'the signal; each has runs of its own');
  return withPeriod(command, true)
    .addOption(signal.choices(['traces', 'logs', 'metrics']).default('traces'))
    .option('--run <id>', 'the run to go back to; without it, the one before the current one')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', examples)
    .action((flags: RollbackFlags) => rollback(context, flags));
}

const examples = `
Examples:
  tidemark batch runs --date 2026-11-21          which runs there are, and which are kept
  tidemark batch rollback --date 2026-11-21
  tidemark batch rollback --date 2026-11-21 --hour 13
  tidemark batch rollback --date 2026-11-21 --signal logs --run 2026-11-21-0123456789ab-c0de1234

The schedule leaves the period as it is until data arrives that no run of it has had; "tidemark batch
run --force" computes it again at once. TIDEMARK_RUNS_KEPT says how many runs are kept.`;

async function rollback(context: Context, flags: RollbackFlags): Promise<void> {
  const { rollBack } = await import('../../../batch/rollback.ts');
  const period = periodOf(flags.date, flags.hour);
  await withClients(context, async ({ store, clickhouse }) => {
    const { signal: of, run: runId } = flags;
    const clients = { store, clickhouse, clock: context.now, random: () => Math.random() };
    const report = await rollBack({ ...clients, period, of, runId });
    const line = flags.json === true ? lineOf(report) : report.message;
    context.stdout.write(`${line}\n`);
  });
}
