/** `tidemark check`: holds any OTLP/HTTP endpoint to the protocol. The rows are in `bin/check/`. */
import { randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import type { Context } from '../context.ts';
import { header } from '../header.ts';
import { CommandFailed } from '../outcome.ts';

interface Flags {
  readonly header?: Readonly<Record<string, string>>;
  readonly only?: ReadonlySet<number>;
  readonly timeout: number;
  readonly json?: boolean;
}

const timeoutMsDefault = 10_000;
const timeoutMsMax = 600_000;

const help = `
The rows are those of OTLP/HTTP 1.11, numbered; docs/CONFORMANCE.md says what they mean. A broken
MUST makes the check fail; what only the Collector or Tidemark does "differs" elsewhere. It sends
small requests with service.name = tidemark-check, invalid ones too, and bodies that inflate to
256 MiB at most: do not check what must not be disturbed.

Examples:
  tidemark check http://127.0.0.1:4318
  tidemark check https://otlp.example.com --header "authorization=Bearer …" --only 31-42 --json`;

/** The command; exit code 1 when the endpoint breaks a MUST, after the scorecard was printed. */
export function checkCommand(context: Context): Command {
  return new Command('check')
    .description('check an OTLP/HTTP endpoint, of any make, and print a scorecard')
    .argument('<url>', 'address of the endpoint, without /v1/traces', endpoint)
    .option('--header <name=value>', 'sent with each request; may be repeated', header)
    .option('--only <rows>', 'rows to run, such as 31-42,69', rowNumbers)
    .option('--timeout <ms>', 'how long a request may take', milliseconds, timeoutMsDefault)
    .option('--json', 'print the scorecard as one line of JSON')
    .addHelpText('after', help)
    .action((url: URL, flags: Flags) => run(context, url, flags));
}

async function run(context: Context, url: URL, flags: Flags): Promise<void> {
  const { connect } = await import('../check/http.ts');
  const { check } = await import('../check/run.ts');
  const { conforms, scorecard, scorecardJson } = await import('../check/report.ts');
  const { rows } = await import('../check/rows.ts');
  const connection = connect(
    { url, headers: flags.header ?? {}, timeoutMs: flags.timeout },
    { now: context.now, randomBytes: (length) => new Uint8Array(randomBytes(length)) },
  );
  const outcomes = await check(connection, {
    rows,
    ...(flags.only && { only: flags.only }),
    onRow: ({ number, title }) => void context.stderr.write(`row ${number}: ${title}\n`),
    signal: context.signal,
  });
  const text = flags.json ? scorecardJson(url.href, outcomes) : scorecard(url.href, outcomes);
  context.stdout.write(text);
  if (!conforms(outcomes)) throw new CommandFailed(`The endpoint ${url.href} breaks a MUST`);
}

function endpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && ['http:', 'https:'].includes(url.protocol)) return url;
  throw new InvalidArgumentError('It is not an address such as http://127.0.0.1:4318');
}

function rowNumbers(text: string): Set<number> {
  const numbers = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part.trim()) ?? [];
    const length = Number(last) - Number(first) + 1;
    return length > 0 ? Array.from({ length }, (_, index) => Number(first) + index) : [Number.NaN];
  });
  if (numbers.every((number) => number >= 1 && number <= 80)) return new Set(numbers);
  throw new InvalidArgumentError('They are not rows from 1 to 80, such as 31-42,69');
}

function milliseconds(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= timeoutMsMax) return value;
  throw new InvalidArgumentError(`It is not a number from 1 to ${timeoutMsMax}`);
}
