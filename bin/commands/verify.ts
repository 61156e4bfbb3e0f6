/** `tidemark verify`: proves published figures. The work is in `batch/verify.ts`. */
import { Command } from 'commander';
import type { Difference, VerifyProgress } from '../../batch/verify.ts';
import { printable } from '../../dev/table.ts';
import type { Signal } from '../../schemas/archive.ts';
import { verifyDifferencesMax } from '../../schemas/limits/batch.ts';
import type { Period } from '../../schemas/period.ts';
import type { Context } from '../context.ts';
import { CommandFailed } from '../outcome.ts';
import { withProgress, type See } from '../progress.ts';
import { lineOf, periodOf, signalOption, withClients, withPeriod } from './batch/options.ts';
import type { Clients } from './batch/options.ts';

interface VerifyFlags {
  readonly date: Period;
  readonly hour?: string;
  readonly signal?: Signal;
  readonly json?: boolean;
}

const help = `
The engine of CLICKHOUSE_URL reads the run's Parquet files from the object store itself and computes
every published figure again, with SQL of its own; each row is compared, to the last bit. A period
of more than TIDEMARK_VERIFY_ROWS rows is proved in slices, so it need not fit the engine's memory.
Exit code 1: something differs, of which the first ${verifyDifferencesMax} figures are printed; data
came after the run; or there is no run.

Examples:
  tidemark verify --date 2026-11-21
  tidemark verify --date 2026-11-21 --hour 13 --signal traces
  tidemark verify --date 2026-11-21 --json || page-somebody`;

/** The command; prints whether each signal of the period is proved, or its differences. */
export function verifyCommand(context: Context): Command {
  const command = new Command('verify').description(
    "recompute a published day or hour with ClickHouse's engine from Parquet and compare",
  );
  return withPeriod(command, true)
    .addOption(signalOption())
    .option('--json', 'print one line of JSON for each signal')
    .addHelpText('after', help)
    .action((flags: VerifyFlags) => verify(context, flags));
}

async function verify(context: Context, flags: VerifyFlags): Promise<void> {
  const { publishedSignals } = await import('../prove.ts');
  const period = periodOf(flags.date, flags.hour);
  const work = async (clients: Clients, see: See): Promise<void> => {
    const { signal: only } = flags;
    const wanted = only ? [only] : await publishedSignals(clients.clickhouse, period, 'verify');
    const bad: Signal[] = [];
    for (const signal of wanted) {
      see(`${period.name} (${signal}): recomputing from its files`);
      if (!(await verifySignal(context, clients, period, { ...flags, signal }))) bad.push(signal);
    }
    if (bad.length === 0) return;
    throw new CommandFailed(`${period.name} (${bad.join(', ')}) is not what its files say`);
  };
  await withProgress(context, (see) => withClients(context, (clients) => work(clients, see)));
}

/** Whether the published figures are those of the files; says so. */
async function verifySignal(
  context: Context,
  clients: Clients,
  period: Period,
  { signal, json }: { readonly signal: Signal; readonly json?: boolean },
): Promise<boolean> {
  const { provePeriod } = await import('../prove.ts');
  const { runId, report } = await provePeriod(clients, period, signal, {
    signal: context.signal,
    onProgress: ({ table, done, slices }: VerifyProgress) => {
      if (slices > 1) context.stderr.write(`${table}: ${done} of ${slices} slices\n`);
    },
  });
  const { rows, figures, differences, equal } = report;
  const text = equal
    ? `${period.name} (${signal}) is proved: ${rows} rows, ${figures} figures, 0 differences`
    : differences.map(textOf).join('\n');
  const line = json === true ? lineOf({ period, signal, runId, ...report }) : text;
  context.stdout.write(`${line}\n`);
  return equal;
}

function textOf(difference: Difference): string {
  const { group, figure, published, recomputed } = difference;
  return printable(`${group} ${figure}: ${published}, recomputed ${recomputed}`);
}
