/**
 * `tidemark status`: what is reachable, how far the archive is, which periods are complete, which days
 * are published and which are due. Only reads; exit code 1 is an alert.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { SettingError } from '../../schemas/errors.ts';
import { statusPeriodsMax } from '../../schemas/limits/archive.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { durationMs } from '../duration.ts';
import { CommandFailed } from '../outcome.ts';
import { rangeOf, withRange } from '../range.ts';
import type { HourRange, RangeFlags } from '../range.ts';
import { describe } from '../status/describe.ts';
import { alertsOf } from '../status/judge.ts';
import { readStatus } from '../status/read.ts';
import type { StatusOptions, StatusReport } from '../status/read.ts';

interface Flags extends RangeFlags {
  readonly endpoint?: string;
  readonly archive?: boolean;
  readonly by?: 'hour' | 'day';
  readonly signal?: readonly Signal[];
  readonly maxLag?: number;
  readonly maxAge?: number;
  readonly json?: boolean;
}

const probeMs = 5000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const examples = `
Examples:
  tidemark status                           everything, at a glance
  tidemark status --date 2026-11-21         each hour of a day: files, rows, complete or not
  tidemark status --from 2026-11-01 --by day
  tidemark status --archive --max-lag 100000 --max-age 90m || page-somebody

The exit code is 1 when something cannot be reached or is damaged, and with --max-lag or --max-age
when a partition is beyond one of them. Watermarks of
an archiver that keeps up are up to TIDEMARK_FLUSH_AGE_MS (an hour) and some minutes behind, so give
--max-age 90m, and --max-lag what comes in that time. Partitions that nobody has read for a week are
"silent": no alert, and no period waits for them. KAFKA_BROKERS has to be set to see lags.`;

/** The command; exit code 1 when something cannot be reached, is damaged or is beyond a threshold. */
export function statusCommand(context: Context): Command {
  const command = new Command('status').description(
    'show what is reachable, how far the archive is and which days are published',
  );
  return withRange(command)
    .addOption(new Option('--by <period>', 'periods of the range').choices(['hour', 'day']))
    .addOption(new Option('--signal <signal...>', 'periods of these').choices(Object.keys(topics)))
    .option('--archive', 'the archive and Kafka alone: no edge, no ClickHouse')
    .option('--max-lag <records>', 'fail when a partition has more that are not archived', count)
    .option('--max-age <time>', 'fail when a watermark is further behind: 5m, 2h', durationMs)
    .option('--endpoint <url>', 'address of the edge (http://127.0.0.1:TIDEMARK_PORT)')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', examples)
    .action((flags: Flags) => status(context, flags));
}

async function status(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const range = periodsOf(flags, context.now());
  const { openClickHouse } = await import('../../workers/clients/clickhouse/clickhouse.ts');
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const store = openStore(settings);
  const clickhouse = flags.archive ? undefined : openClickHouse(settings);
  try {
    const report = await readStatus({
      settings,
      store,
      ...(clickhouse && { clickhouse }),
      ...(range && { range }),
      endpoint: flags.endpoint ?? `http://127.0.0.1:${settings.TIDEMARK_PORT}`,
      probe,
      log: logOf(context, { ...settings, TIDEMARK_LOG_LEVEL: 'warn' }),
      clock: context.now,
      signals: flags.signal ?? (Object.keys(topics) as Signal[]),
    });
    show(context, report, flags);
  } finally {
    store.close();
    await clickhouse?.close();
  }
}

/** Prints the whole report, then fails if there is a reason. */
function show(context: Context, report: StatusReport, flags: Flags): void {
  const nowMs = context.now();
  const alerts = alertsOf(
    report.partitions,
    { maxLag: flags.maxLag, maxAgeMs: flags.maxAge },
    nowMs,
  );
  const text = flags.json ? `${JSON.stringify({ ...report, alerts })}\n` : describe(report, nowMs);
  context.stdout.write(text);
  const down = report.services.filter(({ error }) => error !== undefined);
  const names = down.map(({ name, url }) => `${name} (${url})`).join(', ');
  const reasons = [
    ...(down.length > 0 ? [`Cannot reach ${names}`] : []),
    ...report.damage,
    ...(alerts.length > 0 ? [`Beyond the threshold: ${alerts.join('; ')}`] : []),
  ];
  if (reasons.length > 0) throw new CommandFailed(reasons.join('; '));
}

/** What the flags say of periods; `undefined` when none are wanted. */
function periodsOf(flags: Flags, nowMs: number): StatusOptions['range'] {
  if (flags.date === undefined && flags.from === undefined && flags.to === undefined) {
    if (flags.by === undefined) return undefined;
  }
  const endMs = Math.ceil(nowMs / hourMs) * hourMs;
  const startMs = Math.floor(nowMs / dayMs) * dayMs;
  const range = rangeOf(flags, { fromMs: flags.to === undefined ? startMs : 0, toMs: endMs });
  const periodMs = flags.by === 'day' || (flags.by === undefined && isLong(range)) ? dayMs : hourMs;
  const periods = (range.toMs - range.fromMs) / periodMs;
  if (periods <= statusPeriodsMax) return { ...range, periodMs };
  const message = `Cannot show ${Math.ceil(periods)} periods: at most ${statusPeriodsMax} at once`;
  throw new SettingError('from', message);
}

/** More than two days: hours would be too many to read. */
function isLong({ fromMs, toMs }: HourRange): boolean {
  return toMs - fromMs > 2 * dayMs;
}

async function probe(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(probeMs) });
  await answer.body?.cancel();
  if (!answer.ok) throw new CommandFailed(`it answered ${answer.status}`);
}

function count(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is not a whole number');
}
