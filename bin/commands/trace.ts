/** `tidemark trace`: finds one trace in the archive and prints it. The search is in `workers/`. */
import { Command } from 'commander';
import { SettingError } from '../../schemas/errors.ts';
import { traceDaysSearched } from '../../schemas/limits/archive.ts';
import type { ArchivedSpan, TraceSearch } from '../../workers/trace.ts';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import { moment, momentHelp } from '../moment.ts';
import { CommandFailed } from '../outcome.ts';

interface Flags {
  readonly from?: string;
  readonly to?: string;
  readonly tenant?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

const dayMs = 86_400_000;

const help = `
The archive alone is asked. Commits say for each file which trace ids its row groups may hold; files
that cannot hold the trace are not opened. Whole hours are searched. Without --from the last
${traceDaysSearched} days are, the newest first, day by day until no span's parent is missing; with it, all of the range.
A span that was delivered more than once is shown once, as it was first received.

Examples:
  tidemark trace 5b8efff798038103d269b633813fc60c
  tidemark trace 5b8efff798038103d269b633813fc60c --from 2026-11-21T13:00 --to 2026-11-21T15:00
  tidemark trace 5b8efff798038103d269b633813fc60c --tenant acme --json > trace.json

With --json it prints one ExportTraceServiceRequest as OTLP/JSON. Exit code 1: not found.`;

/** The command; exit code 1 when no span was found. */
export function traceCommand(context: Context): Command {
  return new Command('trace')
    .description('find a trace in the archive and print it')
    .argument('<trace id>', '32 hexadecimal digits')
    .option('--from <time>', momentHelp)
    .option('--to <time>', 'the same; the end of the range is not in it')
    .option('--tenant <id>', "only this tenant's spans")
    .option('--all', 'show repeated deliveries of a span as well')
    .option('--json', 'print the spans as OTLP/JSON')
    .addHelpText('after', help)
    .action((id: string, flags: Flags) => trace(context, id, flags));
}

async function trace(context: Context, id: string, flags: Flags): Promise<void> {
  const traceId = id.toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(traceId)) {
    throw new SettingError('traceId', `Cannot search for "${id}": wanted 32 hexadecimal digits`);
  }
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { findTrace } = await import('../../workers/trace.ts');
  const store = openStore(settingsOf(context));
  try {
    const query = { traceId, tenantId: flags.tenant, ...rangeOf(context, flags) };
    const found = await findTrace(store, query, { signal: context.signal });
    await print(context, traceId, found, flags);
  } finally {
    store.close();
  }
}

function rangeOf(context: Context, flags: Flags) {
  const nowMs = context.now();
  // Spans may be ahead of this clock: up to a day, else they are quarantined under their receipt.
  const toMs = flags.to === undefined ? nowMs + dayMs : moment('--to', flags.to, nowMs);
  const fromMs =
    flags.from === undefined
      ? Math.min(nowMs, toMs) - traceDaysSearched * dayMs
      : moment('--from', flags.from, nowMs);
  if (fromMs < toMs) return { fromMs, toMs, untilWhole: flags.from === undefined };
  throw new SettingError('--from', 'Cannot search: --from is not before --to');
}

async function print(
  context: Context,
  traceId: string,
  found: TraceSearch,
  flags: Flags,
): Promise<void> {
  const range = `${isoOf(found.fromMs)} to ${isoOf(found.toMs)}`;
  const cost = `${found.filesRead} of ${found.fileCount} files read`;
  const spans = flags.all ? found.spans : found.spans.filter(({ isDuplicate }) => !isDuplicate);
  if (spans.length === 0) {
    const whose = flags.tenant === undefined ? '' : ` of tenant ${flags.tenant}`;
    throw new CommandFailed(`Found no span of ${traceId}${whose} in ${range} (${cost})`);
  }
  const tenants = Map.groupBy(spans, ({ tenantId }) => tenantId);
  if (flags.json && tenants.size > 1) {
    const names = [...tenants.keys()].toSorted().join(', ');
    throw new SettingError('--tenant', `Several tenants have this trace: give --tenant (${names})`);
  }
  await (flags.json ? printJson(context, spans) : printTrees(context, traceId, found, tenants));
  context.stderr.write(`Searched ${range}: ${cost}\n`);
}

async function printJson(context: Context, spans: readonly ArchivedSpan[]): Promise<void> {
  const { ownedSpan, requestOf } = await import('../trace/tree.ts');
  const json = requestOf(spans.map(({ request }) => ownedSpan(request)));
  context.stdout.write(`${JSON.stringify(json)}\n`);
}

async function printTrees(
  context: Context,
  traceId: string,
  found: TraceSearch,
  tenants: ReadonlyMap<string, readonly ArchivedSpan[]>,
): Promise<void> {
  const { ownedSpan } = await import('../trace/tree.ts');
  const { waterfall } = await import('../trace/waterfall.ts');
  const trees = [...tenants].map(([tenantId, spans]) => {
    const repeated = found.spans.filter((span) => span.isDuplicate && span.tenantId === tenantId);
    const head = { traceId, tenantId, duplicates: repeated.length };
    return waterfall(
      head,
      spans.map(({ request }) => ownedSpan(request)),
    );
  });
  context.stdout.write(trees.join('\n'));
}

function isoOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`;
}
