/** `tidemark batch verify`: proves published figures. The work is in `batch/verify.ts`. */
import { Command } from 'commander';
import type { Difference } from '../../../batch/verify.ts';
import type { Signal } from '../../../schemas/archive.ts';
import type { Period } from '../../../schemas/period.ts';
import type { Context } from '../../context.ts';
import { CommandFailed } from '../../outcome.ts';
import { lineOf, periodOf, signalOption, withClients, withPeriod } from './options.ts';
import type { Clients } from './options.ts';

interface VerifyFlags {
  readonly date: Period;
  readonly hour?: string;
  readonly signal?: Signal;
  readonly json?: boolean;
}

/** The command; prints whether each signal of the period is proved, or its differences. */
export function batchVerifyCommand(context: Context): Command {
  const command = new Command('verify').description(
    "recompute a published day or hour with ClickHouse's engine from Parquet and compare",
  );
  return withPeriod(command, true)
    .addOption(signalOption())
    .option('--json', 'print one line of JSON for each signal')
    .action((flags: VerifyFlags) => verify(context, flags));
}

async function verify(context: Context, flags: VerifyFlags): Promise<void> {
  const { publishedSignals } = await import('../../prove.ts');
  const period = periodOf(flags.date, flags.hour);
  await withClients(context, async (clients) => {
    const { signal: only } = flags;
    const wanted = only ? [only] : await publishedSignals(clients.clickhouse, period);
    const bad: Signal[] = [];
    for (const signal of wanted) {
      if (!(await verifySignal(context, clients, period, { ...flags, signal }))) bad.push(signal);
    }
    if (bad.length === 0) return;
    throw new CommandFailed(`${period.name} (${bad.join(', ')}) is not what its files say`);
  });
}

/** Whether the published figures are those of the files; says so. */
async function verifySignal(
  context: Context,
  clients: Clients,
  period: Period,
  { signal, json }: { readonly signal: Signal; readonly json?: boolean },
): Promise<boolean> {
  const { provePeriod } = await import('../../prove.ts');
  const { runId, report } = await provePeriod(clients, period, signal);
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
  return `${group} ${figure}: ${published}, recomputed ${recomputed}`;
}
