/** Writes what a load costs for people. Only formats: every figure comes in. */
import { table } from '../../dev/table.ts';
import { assumptions, type Assumptions } from './assume.ts';
import type { Limit } from './limit.ts';
import type { CostReport, Line } from './price.ts';

/** Lines that are named as what dominates. */
const dominant = 3;

/** The report as tables, ending in a line break. */
export function describeCost(report: CostReport): string {
  const { load, cells, lines, usdMonth, usdPerMillion } = report;
  const { traces, logs, metrics } = load.items;
  const sent = `${short(traces)} spans, ${short(logs)} log records, ${short(metrics)} data points a day`;
  const kept = `archive ${load.archiveDays} days, ClickHouse ${load.speedDays} days`;
  const kafka = load.kafka ? `, Kafka ${load.kafkaDays} days` : ', no Kafka: the R2 spool';
  const columns = [
    { title: 'part' },
    { title: 'what' },
    { title: 'amount', align: 'right' as const },
    { title: 'unit' },
    { title: 'USD a month', align: 'right' as const },
  ];
  const rows = lines.map((line, index) => [
    lines[index - 1]?.part === line.part ? '' : line.part,
    line.what,
    short(line.amount),
    line.unit,
    line.usdMonth === 0 ? '' : usd(line.usdMonth),
  ]);
  return [
    `${sent}\n${kept}${kafka}\n\n`,
    table(columns, [...rows, ['all', '', '', '', usd(usdMonth)]], '  '),
    `\n${usdPerMillion.toFixed(3)} USD for each million items. ${dominates(lines, usdMonth)}\n`,
    `\n${deployments(cells)}\n\n`,
    describeLimits(report.limits),
  ].join('');
}

function dominates(lines: readonly Line[], usdMonth: number): string {
  const most = lines.toSorted((x, y) => y.usdMonth - x.usdMonth).slice(0, dominant);
  const shares = most.map(
    ({ part, what, usdMonth: own }) =>
      `${part} ${what} ${usdMonth === 0 ? 0 : Math.round((own / usdMonth) * 100)} %`,
  );
  return `Most of it: ${shares.join(', ')}.`;
}

function deployments(cells: number): string {
  if (cells === 1) return 'One deployment holds it. Its limits:';
  return `${cells} deployments, each with a bucket, share it (by tenant). The limits of one:`;
}

function describeLimits(limits: readonly Limit[]): string {
  const columns = [
    { title: 'limit' },
    { title: 'needed', align: 'right' as const },
    { title: 'there is', align: 'right' as const },
    { title: 'unit' },
    { title: 'past it' },
  ];
  const rows = limits.map(({ name, need, bound, unit, remedy }) => [
    name,
    short(need),
    short(bound),
    unit,
    need > bound ? remedy : '',
  ]);
  return table(columns, rows, '  ');
}

/** Every assumption with the value that counts, its unit and source. */
export function describeAssumptions(values: Assumptions): string {
  const columns = [
    { title: 'name' },
    { title: 'value', align: 'right' as const },
    { title: 'unit' },
    { title: 'is' },
    { title: 'source' },
  ];
  const rows = Object.entries(assumptions).map(([name, { value, unit, kind, source }]) => {
    const own = values[name as keyof Assumptions];
    const from = own === value ? [kind, source] : ['given', `in place of ${value}`];
    return [name, String(own), unit, ...from];
  });
  return table(columns, rows);
}

function usd(amount: number): string {
  return amount.toLocaleString('en-US', { maximumFractionDigits: amount < 10 ? 2 : 0 });
}

/** Three digits: 0.05, 12.3, 512, 1.2 k, 3.04 T. */
function short(amount: number): string {
  const units = ['', ' k', ' M', ' G', ' T', ' P'];
  if (amount === 0) return '0';
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(amount) / 3 + 1e-12)));
  const scaled = amount / 1000 ** power;
  const digits = scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
  return `${Number(scaled.toFixed(digits))}${units[power] ?? ''}`;
}
