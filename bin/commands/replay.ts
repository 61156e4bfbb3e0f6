/** `tidemark replay`: settings → store, journal, sender → replay. The work is in `workers/replay.ts`. */
import { setTimeout as pause } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { SettingError } from '../../schemas/errors.ts';
import * as limits from '../../schemas/limits/replay.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import type { ReplayProgress, ReplayReport, Send } from '../../workers/replay.ts';
import type { Asked, Journal } from '../../workers/replay/journal.ts';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import { header } from '../header.ts';
import { moment, momentHelp } from '../moment.ts';

interface Flags {
  readonly from: string;
  readonly to?: string;
  readonly signal?: readonly Signal[];
  readonly service?: string;
  readonly tenant?: string;
  readonly endpoint?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly tenantHeader?: string;
  readonly rate?: number;
  readonly concurrency: number;
  readonly items: number;
  readonly dedup?: boolean;
  readonly state?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const help = `
Items are sent as OTLP/HTTP protobuf with gzip to /v1/traces, /v1/logs and /v1/metrics below the
endpoint, at least once. A request holds items of one tenant. 429, 502, 503, 504 and lost
connections are tried again as OTLP says; any other refusal ends it and says whose items it was.
With --state a replay that was stopped or killed goes on where it was: only requests that were under
way are sent again. The plan is made when the state is: what is archived later is not in it.

--dedup leaves out what repeats other items of the same day (UTC) as the batch does: spans and log
records that were received again, and all but the last version of a metric point.

Examples:
  tidemark replay --from 2026-11-21 --to 2026-11-22 --endpoint http://127.0.0.1:8787 --dedup
  tidemark replay --from 3h --signal logs --service checkout --endpoint https://otlp.example.com \\
    --header "authorization=Bearer …" --rate 20000 --state replay.jsonl
  tidemark replay --from 2026-11-01 --to 2026-12-01 --dry-run --json`;

/** The command; exit code 1 when not everything was taken. */
export function replayCommand(context: Context): Command {
  return new Command('replay')
    .description('send what is in the archive to any OTLP/HTTP endpoint')
    .requiredOption('--from <time>', momentHelp)
    .option('--to <time>', 'the same; the end of the range is not in it (now)')
    .addOption(new Option('--signal <signal...>', 'send only these').choices(Object.keys(topics)))
    .option('--service <name>', 'only items of this service.name')
    .option('--tenant <id>', 'only items of this tenant')
    .option('--endpoint <url>', 'where to send', endpoint)
    .option('--header <name=value>', 'sent with each request; may be repeated', header)
    .option('--tenant-header <name>', 'a header that says whose items a request holds')
    .option('--rate <items/s>', 'send no faster than this', positive)
    .option('--concurrency <n>', 'requests at once', positive, limits.replayRequestsAtOnce)
    .option('--items <n>', 'items of one request at most', positive, limits.replayItemsPerRequest)
    .option('--dedup', 'leave out items that repeat others')
    .option('--state <file>', 'remember there how far it is, and go on from it')
    .option('--dry-run', 'count what would be sent, and send nothing')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', help)
    .action((flags: Flags) => run(context, flags));
}

async function run(context: Context, flags: Flags): Promise<void> {
  const asked = askedOf(context, flags);
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { pacer, replay } = await import('../../workers/replay.ts');
  const store = openStore(settingsOf(context));
  const progress = new Progress(context);
  try {
    const journal = await journalOf(store, asked, flags);
    const report = await replay({
      store,
      query: asked,
      dedup: asked.dedup,
      journal,
      send: flags.dryRun ? undefined : await senderOf(context, flags, progress),
      pace: pacer(flags.rate, context.now, (ms) => sleep(ms, context.signal)),
      itemsPerRequest: flags.items,
      requestsAtOnce: Math.min(flags.concurrency, limits.replayRequestsAtOnceMax),
      onProgress: (now) => progress.see(now),
      signal: context.signal,
    });
    context.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describe(report, flags));
  } finally {
    store.close();
  }
}

function askedOf(context: Context, flags: Flags): Asked {
  if (flags.endpoint === undefined && !flags.dryRun) {
    throw new SettingError('--endpoint', 'Cannot replay: give --endpoint, or --dry-run');
  }
  if (flags.state !== undefined && flags.dryRun) {
    throw new SettingError('--state', 'Cannot replay: a dry run has no state');
  }
  const isAge = /^\d+[mhd]$/.test(flags.from);
  if (flags.state !== undefined && (isAge || flags.to === undefined)) {
    throw new SettingError(
      '--state',
      'Cannot replay with --state: give --from and --to as fixed times, so that they stay the same',
    );
  }
  const nowMs = context.now();
  const fromMs = moment('--from', flags.from, nowMs);
  const toMs = flags.to === undefined ? nowMs : moment('--to', flags.to, nowMs);
  if (fromMs >= toMs) throw new SettingError('--from', 'Cannot replay: --from is not before --to');
  return {
    signals: flags.signal ?? (Object.keys(topics) as Signal[]),
    fromMs,
    toMs,
    tenantId: flags.tenant,
    service: flags.service,
    endpoint: flags.endpoint ?? '',
    dedup: flags.dedup ?? false,
  };
}

async function journalOf(store: ObjectStore, asked: Asked, flags: Flags): Promise<Journal> {
  const { beginJournal, noJournal, resumeJournal } =
    await import('../../workers/replay/journal.ts');
  const { planReplay } = await import('../../workers/replay/plan.ts');
  if (flags.state === undefined) return noJournal(await planReplay(store, asked));
  const earlier = await resumeJournal(flags.state, asked);
  return earlier ?? (await beginJournal(flags.state, asked, await planReplay(store, asked)));
}

async function senderOf(context: Context, flags: Flags, progress: Progress): Promise<Send> {
  const { sendRequest } = await import('../../workers/replay/send.ts');
  const options = {
    endpoint: flags.endpoint ?? '',
    headers: flags.header ?? {},
    fetch,
    now: context.now,
    sleep,
    random: () => Math.random(),
    signal: context.signal,
    onRetry: (reason: string, pauseMs: number) => progress.retry(reason, pauseMs),
  };
  return (signal, request, tenantId) => {
    const own = flags.tenantHeader === undefined ? {} : { [flags.tenantHeader]: tenantId };
    return sendRequest(signal, request, options, own);
  };
}

/** Rejects with the signal's reason when it aborts. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

const progressMs = 2000;

/** A line on stderr every other second, and for retries. */
class Progress {
  readonly #context: Context;
  readonly #startMs: number;
  #printedMs: number;
  #first: ReplayProgress | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#startMs = context.now();
    this.#printedMs = this.#startMs;
  }

  see(progress: ReplayProgress): void {
    this.#first ??= progress;
    const nowMs = this.#context.now();
    if (nowMs - this.#printedMs < progressMs) return;
    this.#printedMs = nowMs;
    const { items, requests, rowsDone, rowsTotal } = progress;
    const seconds = (nowMs - this.#startMs) / 1000;
    const rows = rowsDone - this.#first.rowsDone;
    const left = rows === 0 ? '' : `, ${duration(((rowsTotal - rowsDone) * seconds) / rows)} to go`;
    const rate = Math.round((items - this.#first.items) / seconds);
    const percent = Math.floor((100 * rowsDone) / Math.max(1, rowsTotal));
    this.#context.stderr.write(
      `${percent}% of ${rowsTotal} archived items read; ${items} sent in ${requests} requests, ` +
        `${rate} a second${left}\n`,
    );
  }

  retry(reason: string, pauseMs: number): void {
    this.#context.stderr.write(`trying again in ${Math.ceil(pauseMs / 1000)} s: ${reason}\n`);
  }
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function describe(report: ReplayReport, flags: Flags): string {
  const { items, requests, files, duplicates, rejected, rejectedMessage } = report;
  const sent = flags.dryRun ? 'Would send' : 'Sent';
  const left = flags.dedup ? `, ${duplicates} left out as duplicates` : '';
  const refused =
    rejected > 0 ? `; the receiver rejected ${rejected} of them: ${rejectedMessage}` : '';
  return `${sent} ${items} items in ${requests} requests from ${files} files${left}${refused}\n`;
}

function endpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && ['http:', 'https:'].includes(url.protocol)) return text;
  throw new InvalidArgumentError('It is not an address such as http://127.0.0.1:4318');
}

function positive(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new InvalidArgumentError('It is not a whole number above 0');
}
