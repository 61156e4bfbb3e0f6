/** `tidemark compact`: merges small files of the archive. The work is in `workers/compact.ts`. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Command, Option } from 'commander';
import { topics, type Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { ObjectStore, StoreSettings } from '../../workers/clients/store/objects.ts';
import type { CompactOptions, CompactReport, HourReport } from '../../workers/compact.ts';
import type { Rewriter } from '../../workers/compact/rewriter.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { pauseMs } from '../duration.ts';
import { CommandFailed } from '../outcome.ts';
import { rangeOf, withRange, type HourRange, type RangeFlags } from '../range.ts';
import manifest from '../../package.json' with { type: 'json' };

interface Flags extends RangeFlags {
  readonly signal?: readonly Signal[];
  readonly every?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** The command; prints a line for each hour that it changed, and a sum. */
export function compactCommand(context: Context): Command {
  const command = new Command('compact').description(
    'merge the many small files of closed hours into few large sorted ones',
  );
  return withRange(command)
    .addOption(
      new Option('--signal <signal...>', 'only files of these').choices(Object.keys(topics)),
    )
    .option('--every <pause>', 'go on until it is stopped; 30s, 10m or 1h lie between', pauseMs)
    .option('--dry-run', 'say what would be merged, and change nothing')
    .option('--json', 'print one line of JSON, with --every one each time')
    .addHelpText('after', examples)
    .action((flags: Flags) => compact(context, flags));
}

const examples = `
Examples:
  tidemark compact                          what the last days have, such as from cron
  tidemark compact --every 10m              the same again and again, as a service; SIGTERM ends it
  tidemark compact --date 2026-11-21        one day
  tidemark compact --from 2026-01-01 --dry-run

Any number of compactors may run at once, on any machines. Readers see an hour's files replaced all
at once; the old ones stay for those who read them, until "tidemark sweep" deletes them.`;

async function compact(context: Context, flags: Flags): Promise<void> {
  const { every: everyMs } = flags;
  await withRewriter(context, flags, async (tools) => {
    if (everyMs === undefined) {
      failOn(await compactOnce(context, flags, tools));
      return;
    }
    const { signal } = context;
    while (!signal.aborted) {
      await compactAgain(context, flags, tools);
      await pause(everyMs, undefined, { signal }).catch(() => undefined);
    }
  });
}

/** One of many: a fault that the next one may not have is only worth a warning. */
async function compactAgain(context: Context, flags: Flags, tools: RewriteTools): Promise<void> {
  try {
    await compactOnce(context, flags, tools);
  } catch (error) {
    if (context.signal.aborted) return;
    if (!(error instanceof TidemarkError) || !error.retryable) throw error;
    logOf(context, settingsOf(context)).warn({ err: error }, 'Cannot compact now; will try again');
  }
}

export interface RewriteTools {
  readonly store: ObjectStore;
  readonly rewriter: Rewriter;
}

/**
 * Opens the store and a thread that rewrites files, for `task`. Throws UNSUPPORTED_STORE for a store
 * on which two rewriters could both win; a dry run writes nothing, and so does not ask.
 */
export async function withRewriter(
  context: Context,
  flags: { readonly dryRun?: boolean },
  task: (tools: RewriteTools) => Promise<void>,
): Promise<void> {
  const settings = settingsOf(context);
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { assertConditionalPut } = await import('../../workers/clients/store/probe.ts');
  const { Rewriter } = await import('../../workers/compact/rewriter.ts');
  const store = openStore(settings);
  const url = new URL('../../workers/compact/thread.ts', import.meta.url);
  const workerData: StoreSettings = settings;
  const startThread = () => new Worker(url, { workerData });
  const rewriter = new Rewriter({ store, startThread, signal: context.signal });
  try {
    const name = randomBytes(8).toString('hex');
    if (!flags.dryRun) await assertConditionalPut(store, name, { signal: context.signal });
    await task({ store, rewriter });
  } finally {
    await rewriter.close();
    store.close();
  }
}

async function compactOnce(
  context: Context,
  flags: Flags,
  { store, rewriter }: RewriteTools,
): Promise<CompactReport> {
  const { runCompaction } = await import('../../workers/compact.ts');
  const settings = settingsOf(context);
  const options: CompactOptions = {
    store,
    settings,
    rewriter,
    now: context.now,
    randomName: () => randomBytes(8).toString('hex'),
    log: logOf(context, settings),
    signals: flags.signal ?? (Object.keys(topics) as Signal[]),
    ...rangeOf(flags, recentHours(context.now(), settings.TIDEMARK_COMPACT_DAYS)),
    dryRun: flags.dryRun ?? false,
    codeVersion: manifest.version,
    signal: context.signal,
    onHour: (report) => context.stderr.write(`${lineOf(report)}\n`),
  };
  const report = await runCompaction(options);
  print(context, report, flags);
  return report;
}

const hourMs = 3_600_000;

/** The hours of the last days; without an end given, up to now. */
function recentHours(nowMs: number, days: number): HourRange {
  const toMs = Math.ceil(nowMs / hourMs) * hourMs;
  return { fromMs: toMs - days * 24 * hourMs, toMs };
}

function lineOf(report: HourReport): string {
  const { signal, hour, rows, filesBefore, filesAfter, bytesBefore, bytesAfter } = report;
  const after = filesAfter === undefined ? 'fewer' : `${filesAfter} of ${mb(bytesAfter ?? 0)}`;
  return `${hour.slice(0, 13)} ${signal}: ${filesBefore} files of ${mb(bytesBefore)} → ${after}, ${rows} rows`;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function print(context: Context, { hours, failures }: CompactReport, flags: Flags): void {
  const sum = (of: (hour: HourReport) => number) =>
    hours.reduce((total, hour) => total + of(hour), 0);
  if (flags.json) {
    const failed = failures.map(({ signal, hour, error: { code, message } }) => {
      return { signal, hour, code, message };
    });
    context.stdout.write(`${JSON.stringify({ hours, failures: failed })}\n`);
    return;
  }
  const before = sum(({ filesBefore }) => filesBefore);
  const after = sum(({ filesAfter }) => filesAfter ?? 0);
  const text = flags.dryRun
    ? `Would merge ${before} files of ${hours.length} hours`
    : `Merged ${before} files of ${hours.length} hours into ${after}`;
  context.stdout.write(`${text}\n`);
}

function failOn({ failures }: CompactReport): void {
  if (failures.length === 0) return;
  const reasons = failures.map(({ signal, hour, error }) => `${hour} ${signal}: ${error.message}`);
  throw new CommandFailed(`Cannot compact everything: ${reasons.join('; ')}`);
}
