/** `tidemark drift`: how far the speed layer is from the batch layer. The work is in `batch/drift.ts`. */
import { Command, InvalidArgumentError } from 'commander';
import type { Signal } from '../../schemas/archive.ts';
import type { Period } from '../../schemas/period.ts';
import type { Context } from '../context.ts';
import { describeDrift } from '../drift/describe.ts';
import { driftAlerts, parseLimits } from '../drift/judge.ts';
import type { DriftLimits } from '../drift/judge.ts';
import { CommandFailed } from '../outcome.ts';
import { withProgress, type See } from '../progress.ts';
import { lineOf, periodOf, signalOption, withClients, withPeriod } from './batch/options.ts';
import type { Clients } from './batch/options.ts';

interface DriftFlags {
  readonly date: Period;
  readonly hour?: string;
  readonly signal?: Signal;
  readonly service?: string;
  readonly tenant?: string;
  readonly json?: boolean;
  readonly maxMissing?: number;
  readonly maxDuplicated?: number;
  readonly maxUnarchived?: number;
  readonly maxLate?: number;
  readonly maxErrors?: number;
  readonly maxQuantiles?: number;
}

const help = `
Items are matched one by one, by identity, between the speed tables and the Parquet files that the
current run read. missing: the speed tables do not have it. duplicated: rows beyond the first of an
item. unarchived: the run did not read it. late: received after the period had ended; after run:
after its first run was published. Quantiles of the speed layer are off by the mean over a service's
operations, weighted by spans; "worst" is the largest of one. docs/EXACTNESS.md says what can be
matched of logs and metrics. The result is stored in the table layer_drift; the view
layer_drift_current has the last one of each run. Services past a limit of --max-… or
TIDEMARK_DRIFT_ALERT make the exit code 1.

Examples:
  tidemark drift --date 2026-11-21
  tidemark drift --date 2026-11-21 --hour 13 --signal traces --service cart
  tidemark drift --date 2026-11-21 --max-missing 0.1 --max-quantiles 5 || page-somebody`;

/** The command; prints a table for each signal, or a line of JSON. */
export function driftCommand(context: Context): Command {
  const command = new Command('drift').description(
    'compare the speed layer with the published figures: lost, duplicated, late, errors, quantiles',
  );
  return withPeriod(command, true)
    .addOption(signalOption())
    .option('--service <name>', 'show and judge only this service')
    .option('--tenant <id>', 'show and judge only this tenant')
    .option('--max-missing <percent>', 'fail when a service misses more of its items', percent)
    .option('--max-duplicated <percent>', 'fail when more are there twice', percent)
    .option('--max-unarchived <percent>', 'fail when more are not in the archive', percent)
    .option('--max-late <percent>', 'fail when more came after the period had ended', percent)
    .option('--max-errors <percent>', 'fail when the numbers of errors differ by more', percent)
    .option('--max-quantiles <percent>', 'fail when p50, p95 or p99 are off by more', percent)
    .option('--json', 'print one line of JSON for each signal')
    .addHelpText('after', help)
    .action((flags: DriftFlags) => drift(context, flags));
}

async function drift(context: Context, flags: DriftFlags): Promise<void> {
  const { publishedSignals } = await import('../prove.ts');
  const period = periodOf(flags.date, flags.hour);
  const work = async (clients: Clients, see: See): Promise<void> => {
    const limits = limitsOf(clients, flags);
    const { signal: only } = flags;
    const wanted = only ? [only] : await publishedSignals(clients.clickhouse, period, 'compare');
    const alerts: string[] = [];
    for (const signal of wanted) {
      see(`${period.name} (${signal}): comparing the layers`);
      const found = await driftOfSignal(
        context,
        clients,
        { ...flags, date: period, signal },
        limits,
      );
      alerts.push(...found.map((alert) => `${signal}: ${alert}`));
    }
    if (alerts.length > 0) throw new CommandFailed(`Beyond the limit: ${alerts.join('; ')}`);
  };
  await withProgress(context, (see) => withClients(context, (clients) => work(clients, see)));
}

/** Prints the drift of a signal; returns its alerts. */
async function driftOfSignal(
  context: Context,
  clients: Clients,
  flags: DriftFlags & { readonly signal: Signal },
  limits: DriftLimits,
): Promise<string[]> {
  const { driftOfPeriod } = await import('../prove.ts');
  const { date: period, signal, service, tenant } = flags;
  const { runId, services } = await driftOfPeriod(clients, period, signal, {
    nowMs: context.now,
    signal: context.signal,
    onProgress: ({ done, slices }) => {
      if (slices > 1) context.stderr.write(`${signal}: ${done} of ${slices} slices\n`);
    },
  });
  const shown = services.filter(
    (row) =>
      (service === undefined || row.serviceName === service) &&
      (tenant === undefined || row.tenantId === tenant),
  );
  const alerts = driftAlerts(shown, limits);
  const compared = { period, signal, runId, services: shown };
  context.stdout.write(
    flags.json === true ? `${lineOf({ ...compared, alerts })}\n` : describeDrift(compared),
  );
  return alerts;
}

/** The flags' limits in place of the setting's. */
function limitsOf({ settings }: Clients, flags: DriftFlags): DriftLimits {
  const given = {
    missing: flags.maxMissing,
    duplicated: flags.maxDuplicated,
    unarchived: flags.maxUnarchived,
    late: flags.maxLate,
    errors: flags.maxErrors,
    quantiles: flags.maxQuantiles,
  };
  const named = Object.entries(given).filter(([, limit]) => limit !== undefined);
  const defaults = parseLimits('TIDEMARK_DRIFT_ALERT', settings.TIDEMARK_DRIFT_ALERT);
  return { ...defaults, ...Object.fromEntries(named) };
}

function percent(text: string): number {
  if (/^\d{1,4}(\.\d{1,6})?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is not a percentage such as 0.5');
}
