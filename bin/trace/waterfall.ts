/** Writes a trace as an indented waterfall for people. Only formats. */
import { table } from '../../dev/table.ts';
import { branchesOf, endOf, serviceOf, startOf } from './tree.ts';
import type { Branch, OwnedSpan } from './tree.ts';

const barWidth = 32;
const operationWidthMax = 60;
const statuses = ['', 'ok', 'error'];
const kinds = ['', 'internal', 'server', 'client', 'producer', 'consumer'];

export interface WaterfallHead {
  readonly traceId: string;
  readonly tenantId: string;
  /** Deliveries of spans that were delivered before. */
  readonly duplicates: number;
}

/** A head line, then a line for each span; times are relative to the earliest start. */
export function waterfall(head: WaterfallHead, spans: readonly OwnedSpan[]): string {
  const startNs = spans.map(startOf).reduce((least, start) => (start < least ? start : least));
  const endNs = spans.map(endOf).reduce((most, end) => (end > most ? end : most));
  const services = new Set(spans.map(serviceOf)).size;
  const facts = [
    `tenant ${head.tenantId}`,
    count(spans.length, 'span'),
    count(services, 'service'),
    duration(endNs - startNs),
    isoOf(startNs),
    ...(head.duplicates > 0
      ? [count(head.duplicates, 'repeated delivery', 'repeated deliveries')]
      : []),
  ];
  const lines = table(
    [
      { title: 'operation' },
      { title: 'service' },
      { title: 'kind' },
      { title: 'start', align: 'right' },
      { title: 'duration', align: 'right' },
      { title: 'status' },
      { title: 'when' },
    ],
    branchesOf(spans).map((branch) => line(branch, startNs, endNs)),
  );
  return `trace ${head.traceId}: ${facts.join(', ')}\n\n${lines}`;
}

function line({ owned, depth, isOrphan }: Branch, startNs: bigint, endNs: bigint): string[] {
  const { span } = owned;
  const name = `${'  '.repeat(depth)}${isOrphan ? '(parent missing) ' : ''}${textOf(span['name'])}`;
  const status = (span['status'] ?? {}) as { code?: number; message?: string };
  const said = textOf(status.message);
  return [
    name.length > operationWidthMax ? `${name.slice(0, operationWidthMax - 1)}…` : name,
    serviceOf(owned),
    kinds[Number(span['kind'] ?? 0)] ?? '',
    `+${duration(startOf(owned) - startNs)}`,
    duration(endOf(owned) - startOf(owned)),
    `${statuses[status.code ?? 0] ?? ''}${said === '' ? '' : `: ${said}`}`.slice(
      0,
      operationWidthMax,
    ),
    bar(owned, startNs, endNs),
  ];
}

function bar(owned: OwnedSpan, startNs: bigint, endNs: bigint): string {
  const whole = Math.max(1, Number(endNs - startNs));
  const from = Math.floor((Number(startOf(owned) - startNs) / whole) * (barWidth - 1));
  const to = Math.ceil((Number(endOf(owned) - startNs) / whole) * barWidth);
  return `${' '.repeat(from)}${'█'.repeat(Math.max(1, to - from))}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Nanoseconds with three digits or so and a unit. */
function duration(ns: bigint): string {
  const value = Number(ns);
  if (value < 1e3) return `${value} ns`;
  if (value < 1e6) return `${round(value / 1e3)} µs`;
  if (value < 1e9) return `${round(value / 1e6)} ms`;
  if (value < 6e11) return `${round(value / 1e9)} s`;
  return `${Math.round(value / 6e10)} min`;
}

function round(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}

function isoOf(ns: bigint): string {
  const ms = Number(ns / 1_000_000n);
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
