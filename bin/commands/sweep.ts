/** `tidemark sweep`: deletes files that nothing can name any more. The work is in `workers/sweep.ts`. */
import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { FileCount, SweepProgress, SweepReport } from '../../workers/sweep.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { CommandFailed } from '../outcome.ts';
import { rangeOf, withRange } from '../range.ts';
import type { RangeFlags } from '../range.ts';
import manifest from '../../package.json' with { type: 'json' };

interface Flags extends RangeFlags {
  readonly signal?: readonly Signal[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Pause between two lines of progress. */
const progressMs = 5000;

/** The command; prints what it found and what it deleted. */
export function sweepCommand(context: Context): Command {
  const command = new Command('sweep').description(
    'delete archive files of killed attempts, and those that others have replaced',
  );
  return withRange(command)
    .addOption(
      new Option('--signal <signal...>', 'only files of these').choices(Object.keys(topics)),
    )
    .option('--dry-run', 'say what would be deleted, and change nothing')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', examples)
    .action((flags: Flags) => sweepArchive(context, flags));
}

const examples = `
Examples:
  tidemark sweep                            the whole archive, such as from cron once a day
  tidemark sweep --dry-run
  tidemark sweep --from 2026-11-15          event hours from this day on

Any number of sweepers may run at once, on any machines, beside archivers and compactors. One that
was killed is simply run again. Nothing is deleted that was stored or replaced less than
TIDEMARK_SWEEP_GRACE_MS ago by the store's own clock. Without --from, --to and --signal it also deletes what
runs of the batch left that were given up TIDEMARK_SWEEP_LEFTOVERS_MS ago or earlier. docs/SWEEPING.md says why it is safe.`;

async function sweepArchive(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { assertConditionalPut } = await import('../../workers/clients/store/probe.ts');
  const { sweep } = await import('../../workers/sweep.ts');
  const { fromMs, toMs } = rangeOf(flags, { fromMs: 0, toMs: Date.UTC(9999, 0) });
  const store = openStore(settings);
  const name = randomBytes(8).toString('hex');
  try {
    if (!flags.dryRun) await assertConditionalPut(store, name, { signal: context.signal });
    const report = await sweep({
      store,
      graceMs: settings.TIDEMARK_SWEEP_GRACE_MS,
      ...(!isPart(flags) && { leftoversMs: settings.TIDEMARK_SWEEP_LEFTOVERS_MS }),
      dryRun: flags.dryRun ?? false,
      ...(flags.signal && { signals: flags.signal }),
      fromHourMs: fromMs,
      toHourMs: toMs,
      name,
      codeVersion: manifest.version,
      log: logOf(context, settings),
      onProgress: progressOf(context),
      signal: context.signal,
    });
    context.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describe(report, flags));
    if (!report.complete) throw new CommandFailed('Stopped before the end; run it again');
  } finally {
    store.close();
  }
}

/** What the batch has left is of no signal and no hour. */
function isPart({ signal, date, from, to }: Flags): boolean {
  return [signal, date, from, to].some((given) => given !== undefined);
}

/** A line now and then. */
function progressOf(context: Context): (progress: SweepProgress) => void {
  let toldMs = context.now();
  return ({ folder, files, deleted }) => {
    if (context.now() - toldMs < progressMs) return;
    toldMs = context.now();
    context.stderr.write(`${folder}: ${files} files so far, ${deleted} deleted\n`);
  };
}

function describe({ found, deleted, leftovers, hours }: SweepReport, flags: Flags): string {
  const { live, orphan, replaced, young, pending, abandoned, unexplained, foreign } = found;
  const lines = [
    `Looked at ${hours} hours: ${amount(live)} that count`,
    `  ${amount(orphan)} of attempts that were given up`,
    `  ${amount(replaced)} that others have replaced`,
    `  ${amount(young)} of either kind, too young to be deleted`,
    `  ${amount(pending)} that may still be committed`,
    `  ${amount(abandoned)} of replacements that were given up`,
    ...(unexplained.files > 0 ? [`  ${amount(unexplained)} that should not be; see the log`] : []),
    ...(foreign.files > 0 ? [`  ${amount(foreign)} that are not Tidemark's`] : []),
  ];
  const sum = { files: 0, bytes: 0 };
  for (const each of [orphan, replaced, abandoned]) {
    sum.files += each.files;
    sum.bytes += each.bytes;
  }
  const [would, did] = flags.dryRun ? ['Would delete', sum] : ['Deleted', deleted];
  const { computations, jobs } = leftovers;
  const left = `${amount(leftovers)} of ${computations} computations and ${jobs} jobs of the batch`;
  const ends = [
    `${would} ${amount(did)}`,
    ...(isPart(flags) ? [] : [`${would} ${left} that were given up`]),
  ];
  return `${[...lines, ...ends].join('\n')}\n`;
}

function amount({ files, bytes }: Readonly<FileCount>): string {
  return `${files} files of ${(bytes / 1e6).toFixed(1)} MB`;
}
