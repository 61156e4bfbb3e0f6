/** `tidemark repair`: settings → clients → repair of each signal. The work is in `batch/repair.ts`. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { RepairReport } from '../../batch/repair.ts';
import { speedSpoolsPrefix, type Signal } from '../../schemas/archive.ts';
import { debrisAgeMs } from '../../schemas/limits/batch.ts';
import type { Period } from '../../schemas/period.ts';
import { tablesOf } from '../../schemas/tables.ts';
import { firstKey } from '../../workers/clients/store/first.ts';
import type { Context } from '../context.ts';
import { lineOf, signalOption, withClients } from './batch/options.ts';
import type { Clients } from './batch/options.ts';
import { parsePeriod } from '../../schemas/period.ts';

interface Flags {
  readonly date: Period;
  readonly signal?: Signal;
  readonly tenant?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const help = `
What the archive has of the day and the speed tables lack is inserted from the archive, as the edge
would have; rows that are there more often than they were sent are removed; rollups are made right.
The day has to be over. It may run beside the edge, may be stopped at any time, and what was done
stays done: run it again. With --dry-run it only says what it would do. docs/REPAIR.md says what
counts as the same item, of logs and metrics too.

Examples:
  tidemark repair --date 2026-11-21 --dry-run
  tidemark repair --date 2026-11-21
  tidemark repair --date 2026-11-21 --signal traces --tenant acme --json`;

/** The command; prints a line for each signal, or a line of JSON. */
export function repairCommand(context: Context): Command {
  const day = new Option('--date <YYYY-MM-DD>', 'the day, UTC, such as 2026-11-21');
  return new Command('repair')
    .description('bring the speed tables of a day to what the archive has')
    .addOption(day.argParser((text) => parsePeriod(text)).makeOptionMandatory())
    .addOption(signalOption())
    .option('--tenant <id>', 'only items of this tenant')
    .option('--dry-run', 'say what it would do, and change nothing')
    .option('--json', 'print one line of JSON for each signal')
    .addHelpText('after', help)
    .action((flags: Flags) => repairDay(context, flags));
}

async function repairDay(context: Context, flags: Flags): Promise<void> {
  const { signals } = await import('../../batch/signals.ts');
  const { dropLeftovers } = await import('../../batch/repair.ts');
  await withClients(context, async (clients) => {
    if (!flags.dryRun) {
      await dropLeftovers(clients.clickhouse, { nowMs: context.now(), ageMs: debrisAgeMs });
    }
    for (const of of flags.signal ? [flags.signal] : signals) {
      await warnOfSpool(context, clients, of);
      const report = await repairSignal(context, clients, { ...flags, of });
      context.stdout.write(flags.json ? `${lineOf(report)}\n` : describe(report));
    }
  });
}

async function repairSignal(
  context: Context,
  { settings, store, clickhouse }: Clients,
  { of, date: period, tenant: tenantId, dryRun: isDryRun = false }: Flags & { of: Signal },
): Promise<RepairReport> {
  const { repair, repairName } = await import('../../batch/repair.ts');
  const { Restorer } = await import('../../workers/repair.ts');
  const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  const transcoder = await WebAssembly.compile(new Uint8Array(await readFile(wasm)));
  const restorer = new Restorer({ store, transcoder, signal: of });
  const { signal } = context;
  return await repair({
    store,
    clickhouse,
    settings,
    of,
    period,
    tenantId,
    isDryRun,
    restore: (file, places) => restorer.rowsOf(file, places, { signal }),
    name: repairName(of, context.now(), randomBytes(6).toString('hex')),
    nowMs: context.now,
    onProgress: (line) => context.stderr.write(`${line}\n`),
    signal,
  });
}

/** Rows that wait for the drain are missing now and come later: they are there twice then. */
async function warnOfSpool(context: Context, { store }: Clients, signal: Signal): Promise<void> {
  for (const table of tablesOf[signal]) {
    if ((await firstKey(store, `${speedSpoolsPrefix}${table}/`)) === undefined) continue;
    context.stderr.write(
      `Rows of ${table} wait in the spool for the drain: what they hold of the day may come ` +
        'twice; the next repair removes that\n',
    );
  }
}

function describe(report: RepairReport): string {
  const { signal, period, archived, stored, missing, inserted, surplus, removed, rollups } = report;
  const head = `${signal} of ${period.name}: ${archived} in the archive, ${stored} rows`;
  const done = report.isDryRun
    ? `${missing} missing would be inserted, ${surplus} too many would be removed`
    : `${inserted} of ${missing} missing inserted, ${removed} too many removed`;
  const word = report.isDryRun ? 'to be made right' : 'made right';
  const rolled = rollups.length === 0 ? 'rollups are right' : `${word}: ${rollups.join(', ')}`;
  const gone =
    report.rowsRemoved > 0
      ? `; retention has taken ${report.rowsRemoved} items from the archive`
      : '';
  return `${head}; ${done}; ${rolled}${gone}\n`;
}
