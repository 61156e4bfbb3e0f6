/** `tidemark ledger`: the books of a day. The work is in `batch/ledger.ts`. */
import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import type { Signal } from '../../schemas/archive.ts';
import { parsePeriod, periodAt } from '../../schemas/period.ts';
import type { Period } from '../../schemas/period.ts';
import { SettingError } from '../../schemas/errors.ts';
import type { Context } from '../context.ts';
import { describeLedger, ledgerAlerts } from '../ledger/describe.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { lineOf, signalOption, withClients } from './batch/options.ts';
import type { Clients } from './batch/options.ts';

interface LedgerFlags {
  readonly date?: Period;
  readonly signal?: Signal;
  readonly tenant?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Three sides count by themselves: the edge notes each request, the archiver counts rows in its
commits, and the rows of the speed tables are counted where they lie. What they say is compared by
tenant, signal and minute of receipt (UTC). Faults are differences that should not be; what waits
goes away by itself; notices explain a number. Minutes of which something may be on its way are open
and not judged. docs/LEDGER.md says what each name means. The result is stored for the API and
the dashboard.

Exit code 3: there are faults.

Examples:
  tidemark ledger                                        today so far
  tidemark ledger --date 2026-11-21 --tenant acme
  tidemark ledger --date 2026-11-21 --json || page-somebody`;

/** How often progress is told. */
const progressMs = 2000;

/** A flush of Kafka may wait for an hour; by then its minutes have settled, mostly. */
const settleMsMax = 7_200_000;

/** The command; prints a table for each signal, or a line of JSON. */
export function ledgerCommand(context: Context): Command {
  return new Command('ledger')
    .description('check the books: received = archived + rejected, every difference by name')
    .option(
      '--date <YYYY-MM-DD>',
      'the day of receipt, UTC; without it today, and yesterday until two hours after it',
      day,
    )
    .addOption(signalOption())
    .option('--tenant <id>', 'show and judge only this tenant')
    .option('--json', 'print one line of JSON for each signal')
    .option('--quiet', 'print nothing but faults, as from cron')
    .addHelpText('after', help)
    .action((flags: LedgerFlags) => ledger(context, flags));
}

async function ledger(context: Context, flags: LedgerFlags): Promise<void> {
  const periods = flags.date ? [flags.date] : openDays(context.now());
  const wanted: readonly Signal[] = flags.signal ? [flags.signal] : ['traces', 'logs', 'metrics'];
  const alerts: string[] = [];
  await withClients(context, async (clients) => {
    for (const date of periods) {
      for (const signal of wanted) {
        alerts.push(...(await balance(context, clients, { ...flags, date, signal })));
      }
    }
  });
  if (alerts.length > 0) {
    throw new CommandFailed(`The books differ: ${alerts.join('; ')}`, exitCodes.differs);
  }
}

/** The days of which minutes may have settled since the last look. */
function openDays(nowMs: number): Period[] {
  const [before, today] = [periodAt('day', nowMs - settleMsMax), periodAt('day', nowMs)];
  return before.name === today.name ? [today] : [before, today];
}

/** Prints the books of one signal; returns its alerts. */
async function balance(
  context: Context,
  clients: Clients,
  {
    date,
    signal,
    tenant,
    json,
    quiet,
  }: LedgerFlags & { readonly date: Period; readonly signal: Signal },
): Promise<string[]> {
  const { balanceDay } = await import('../../batch/ledger.ts');
  const { sumTenants } = await import('../../batch/ledger/sum.ts');
  let toldMs = context.now();
  const { minutes, settledMs, goneFiles } = await balanceDay({
    ...clients,
    of: signal,
    day: date,
    nowMs: context.now(),
    run: randomUUID(),
    signal: context.signal,
    onProgress: (commits) => {
      if (context.now() - toldMs < progressMs) return;
      toldMs = context.now();
      context.stderr.write(`${signal}: ${commits} commits read\n`);
    },
  });
  const tenants = sumTenants(minutes).filter(
    (each) => tenant === undefined || each.tenantId === tenant,
  );
  const alerts = ledgerAlerts(signal, tenants);
  const balanced = { period: date, signal, settledMs, tenants, goneFiles };
  const text = json === true ? `${lineOf({ ...balanced, alerts })}\n` : describeLedger(balanced);
  if (quiet !== true) context.stdout.write(text);
  return alerts;
}

/** Throws `SettingError` for a text that is no day. */
function day(text: string): Period {
  const period = parsePeriod(text);
  if (period.kind === 'day') return period;
  throw new SettingError('date', `Cannot use the date "${text}": the books are made of whole days`);
}
