/** `tidemark batch runs`: lists runs of periods. What is listed is in `batch/history.ts`. */
import { Command, Option } from 'commander';
import type { ListedRun } from '../../../batch/history.ts';
import { table } from '../../../dev/table.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { periodLengthMs, type PeriodKind } from '../../../schemas/period.ts';
import type { Context } from '../../context.ts';
import { describeMs } from '../../duration.ts';
import { rangeOf, withRange, type HourRange, type RangeFlags } from '../../range.ts';
import { lineOf, signalOption, withClients } from './options.ts';
import type { Clients } from './options.ts';

interface RunsFlags extends RangeFlags {
  readonly signal?: Signal;
  readonly kind?: PeriodKind;
  readonly json?: boolean;
}

/** Days that are listed when no range is given. */
const listedDays = 7;

/** The command; prints the runs of each period, the current one first. */
export function batchRunsCommand(context: Context): Command {
  const command = new Command('runs').description(
    'list the runs of days and hours: which are current, kept or dropped, and what they had',
  );
  const kind = new Option('--kind <kind>', 'only runs of days, or of hours');
  return withRange(command)
    .addOption(signalOption())
    .addOption(kind.choices(['day', 'hour']))
    .option('--json', 'print one line of JSON for each run')
    .addHelpText('after', examples)
    .action((flags: RunsFlags) => run(context, flags));
}

const examples = `
Examples:
  tidemark batch runs                                  of the last ${listedDays} days
  tidemark batch runs --date 2026-11-21T13             of an hour
  tidemark batch runs --from 2026-11-01 --to 2026-12-01 --kind day --signal traces --json

"late" are rows that a run had more than the one that was current before it.`;

async function run(context: Context, flags: RunsFlags): Promise<void> {
  const nowMs = context.now();
  const range = rangeOf(flags, { fromMs: nowMs - listedDays * periodLengthMs.day, toMs: nowMs });
  await withClients(context, async (clients) => {
    const runs = await list(clients, flags, range);
    if (flags.json === true) {
      for (const each of runs) context.stdout.write(`${lineOf(each)}\n`);
      return;
    }
    context.stdout.write(runs.length === 0 ? 'No run is published for this range\n' : text(runs));
  });
}

async function list(
  { clickhouse }: Clients,
  { signal, kind }: RunsFlags,
  range: HourRange,
): Promise<ListedRun[]> {
  const { listRuns } = await import('../../../batch/history.ts');
  const { signalsOf } = await import('../../../batch/signals.ts');
  const found: ListedRun[] = [];
  for (const each of kind === undefined ? (['day', 'hour'] as const) : [kind]) {
    const wanted = signalsOf(each).filter((of) => signal === undefined || of === signal);
    for (const of of wanted)
      found.push(...(await listRuns(clickhouse, of, { kind: each, ...range })));
  }
  return found;
}

function text(runs: readonly ListedRun[]): string {
  return table(
    [
      { title: 'period' },
      { title: 'signal' },
      { title: 'run' },
      { title: 'is' },
      { title: 'state' },
      { title: 'published (UTC)' },
      { title: 'rows', align: 'right' },
      { title: 'items', align: 'right' },
      { title: 'duplicates', align: 'right' },
      { title: 'late', align: 'right' },
      { title: 'took', align: 'right' },
    ],
    runs.map((each) => [
      each.period.name,
      each.signal,
      each.runId,
      each.cause === 'restored' ? `${each.state}, restored` : each.state,
      each.isFinal ? 'final' : 'provisional',
      new Date(each.publishedAtMs).toISOString().slice(0, 19).replace('T', ' '),
      String(each.rowsRead),
      String(each.totalSpans),
      String(each.duplicateSpans),
      String(each.lateSpans),
      describeMs(each.elapsedMs),
    ]),
  );
}
