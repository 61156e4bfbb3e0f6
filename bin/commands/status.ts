/**
 * `tidemark status`: what is reachable, how far the archive is, which days are published and which
 * are due. Only reads.
 */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import { CommandFailed } from '../outcome.ts';
import { describe } from '../describe.ts';
import type { StatusReport } from '../describe.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';

interface Flags {
  readonly endpoint?: string;
  readonly json?: boolean;
}

const probeMs = 5000;

/** The command; exit code 1 when something cannot be reached, after all has been printed. */
export function statusCommand(context: Context): Command {
  return new Command('status')
    .description('show what is reachable, how far the archive is and which days are published')
    .option('--endpoint <url>', 'address of the edge (http://127.0.0.1:TIDEMARK_PORT)')
    .option('--json', 'print the result as one line of JSON')
    .action((flags: Flags) => status(context, flags));
}

async function status(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const endpoint = flags.endpoint ?? `http://127.0.0.1:${settings.TIDEMARK_PORT}`;
  const report = await readStatus(context, settings, endpoint);
  const text = flags.json ? `${JSON.stringify(report)}\n` : describe(report, context.now());
  context.stdout.write(text);
  const down = report.services.filter(({ error }) => error !== undefined);
  if (down.length === 0) return;
  const names = down.map(({ name, url }) => `${name} (${url})`).join(', ');
  throw new CommandFailed(`Cannot reach ${names}`);
}

async function readStatus(
  context: Context,
  settings: Settings,
  endpoint: string,
): Promise<StatusReport> {
  const { lookForDueDays } = await import('../../batch/daily.ts');
  const { archiveStatus } = await import('../../workers/clients/status.ts');
  const { openClickHouse } = await import('../../workers/clients/clickhouse.ts');
  const { openStore } = await import('../../workers/clients/objects.ts');
  const [store, clickhouse] = [openStore(settings), openClickHouse(settings)];
  try {
    const edge = await tried(() => probe(endpoint));
    const runs = await tried(() => readRuns(clickhouse));
    const archive = await tried(() => archiveStatus(store));
    const clock = context.now;
    const due = await tried(() => lookForDueDays({ store, clickhouse, settings, clock }));
    return {
      services: [
        { name: 'edge', url: endpoint, error: edge.error },
        { name: 'ClickHouse', url: settings.CLICKHOUSE_URL, error: runs.error },
        { name: 'object store', url: settings.S3_ENDPOINT, error: archive.error },
      ],
      partitions: (archive.value?.partitions ?? []).map(({ head, ...partition }) => ({
        ...partition,
        headOffset: head?.firstOffset,
        committedAt: head?.committedAt,
      })),
      spools: archive.value?.spools ?? [],
      runs: runs.value ?? [],
      due: due.value ?? [],
    };
  } finally {
    store.close();
    await clickhouse.close();
  }
}

async function probe(endpoint: string): Promise<void> {
  const answer = await fetch(new URL('/healthz', endpoint), {
    signal: AbortSignal.timeout(probeMs),
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new CommandFailed(`it answered ${answer.status}`);
}

function readRuns(clickhouse: ClickHouse): Promise<StatusReport['runs']> {
  return clickhouse.query(
    `SELECT toString(toDate(period_start, 'UTC')) AS date, run_id AS runId, is_final AS isFinal,
        toFloat64(total_spans) AS totalSpans, toFloat64(duplicate_spans) AS duplicateSpans,
        toString(published_at) AS publishedAt
     FROM batch_current WHERE period_kind = 'day' ORDER BY period_start DESC LIMIT 31`,
  );
}

interface Tried<T> {
  readonly value?: T;
  readonly error?: string | undefined;
}

async function tried<T>(task: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { value: await task() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
