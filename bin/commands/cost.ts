/** `tidemark cost`: what a load takes and costs, on paper. The model is in `bin/cost/`; nothing is asked or read. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { SettingError } from '../../schemas/errors.ts';
import type { Context } from '../context.ts';
import { assume, type Assumptions } from '../cost/assume.ts';
import { describeAssumptions, describeCost } from '../cost/describe.ts';
import { costOf } from '../cost/price.ts';

interface Flags {
  readonly spansPerDay: number;
  readonly logsPerDay: number;
  readonly pointsPerDay: number;
  readonly retentionDays: number;
  readonly speedDays: number;
  readonly kafkaDays: number;
  readonly kafka: boolean;
  readonly group?: boolean;
  readonly assume?: string;
  readonly set: Readonly<Record<string, number>>;
  readonly assumptions?: boolean;
  readonly json?: boolean;
}

const examples = `
Every number that it goes by has a name, a unit and a source; --assumptions prints them. Figures
that were measured were measured on one machine and one shape of data; prices are list prices and
get old. Put your own in their place with --set, or in a JSON file such as
{"spanParquetBytes": 80}. docs/SCALING.md says what the figures mean.

Examples:
  tidemark cost --spans-per-day 1e9
  tidemark cost --spans-per-day 1e11 --logs-per-day 5e10 --points-per-day 2e10 --retention-days 90
  tidemark cost --spans-per-day 5e7 --no-kafka --json
  tidemark cost --spans-per-day 1e10 --set requestItems=2048 --set vcpuUsdPerHour=0.02
  tidemark cost --assumptions`;

/** The command; prints tables, or a line of JSON. */
export function costCommand(context: Context): Command {
  return new Command('cost')
    .description('estimate resources and cost of a load, and where the design ends')
    .option('--spans-per-day <n>', 'spans, such as 1e9', amount, 0)
    .option('--logs-per-day <n>', 'log records', amount, 0)
    .option('--points-per-day <n>', 'data points of metrics', amount, 0)
    .option('--retention-days <n>', 'days that the archive keeps', amount, 30)
    .option('--speed-days <n>', "days that ClickHouse's speed tables keep", amount, 7)
    .option('--kafka-days <n>', 'days that Kafka keeps', amount, 7)
    .option('--no-kafka', 'the archive leg is the R2 spool alone')
    .option('--group', 'requests are merged in Durable Objects (TIDEMARK_GROUP_MS)')
    .option('--assume <file>', 'JSON of assumptions, by name')
    .option('--set <name=value>', 'one assumption; may be repeated', pair, {})
    .option('--assumptions', 'print all assumptions with their sources')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', examples)
    .action((flags: Flags) => cost(context, flags));
}

function cost(context: Context, flags: Flags): void {
  const assumed = assumedBy(flags);
  const { spansPerDay: traces, logsPerDay: logs, pointsPerDay: metrics } = flags;
  if (flags.assumptions === true) {
    const text = flags.json ? `${JSON.stringify(assumed)}\n` : describeAssumptions(assumed);
    context.stdout.write(text);
    return;
  }
  if (traces + logs + metrics === 0) {
    const message =
      'Cannot estimate nothing: give --spans-per-day, --logs-per-day or --points-per-day';
    throw new SettingError('spans-per-day', message);
  }
  const load = {
    items: { traces, logs, metrics },
    archiveDays: flags.retentionDays,
    speedDays: flags.speedDays,
    kafkaDays: flags.kafkaDays,
    kafka: flags.kafka,
    group: flags.group ?? false,
  };
  const report = costOf(load, assumed);
  context.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describeCost(report));
}

/** Defaults, the file's numbers in their place, the flags' in the place of those. */
function assumedBy({ assume: file, set }: Flags): Assumptions {
  const given = file === undefined ? {} : numbersOf(file);
  return assume({ ...given, ...set });
}

function numbersOf(file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Record<string, unknown>;
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SettingError('assume', `Cannot read assumptions of ${file}: ${reason}`, { cause });
  }
  throw new SettingError('assume', `Cannot read assumptions of ${file}: it is no JSON object`);
}

function pair(text: string, before: Readonly<Record<string, number>>): Record<string, number> {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It is not a name and a value such as requestItems=2048');
  }
  return { ...before, [name]: amount(value) };
}

function amount(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?(e\d{1,2})?$/i.test(text) && value <= 1e15) return value;
  throw new InvalidArgumentError('It is not a number such as 250000 or 1e9, of at most 1e15');
}
