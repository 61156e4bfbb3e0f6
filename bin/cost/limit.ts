/**
 * Where the design ends: what one deployment needs of something that does not grow with machines, beside how much
 * there is of it. Knows no prices.
 */
import type { Signal } from '../../schemas/archive.ts';
import type { Assumptions } from './assume.ts';
import { cellOf, type Cell } from './cell.ts';
import type { Load, SignalSize } from './size.ts';

export interface Limit {
  readonly name: string;
  readonly need: number;
  readonly bound: number;
  readonly unit: string;
  /** Whether more deployments help, and are reckoned with. */
  readonly spreads: boolean;
  /** What to do past it. */
  readonly remedy: string;
}

/** More deployments than this are not looked for. */
const cellsMax = 1_000_000;

const archivers = {
  traces: 'archiverSpansPerCpuSecond',
  logs: 'archiverLogsPerCpuSecond',
  metrics: 'archiverPointsPerCpuSecond',
} as const;

/** All limits of a deployment, in the order in which data meets them. */
export function limitsOf(cell: Cell, a: Assumptions): Limit[] {
  const { load, sum } = cell;
  const perMinute = (sum((size) => size.requestsDay) * a.peakFactor) / 1440;
  const drain = {
    name: 'rows spooled a minute while ClickHouse is down',
    need: perMinute,
    bound: a.drainObjectsPerMinute,
    unit: 'objects',
    spreads: false,
    remedy: 'it drains slower than it fills: larger batches; tidemark repair fills the day',
  };
  return [
    ...(load.group ? [objectLimit(cell, a)] : []),
    ...(load.kafka ? [] : [spoolLimit(cell, a)]),
    drain,
    {
      name: 'compacting an hour of one signal',
      need: worst(cell, (size) => size.compactHourSeconds),
      bound: 3600,
      unit: 's',
      spreads: true,
      remedy: 'one process merges an hour: larger flushes, TIDEMARK_FLUSH_ROWS',
    },
    {
      name: 'shards of a day',
      need: worst(cell, (size) => size.shards),
      bound: a.shardsMax,
      unit: 'shards',
      spreads: true,
      remedy: 'more memory for each thread of the batch',
    },
    {
      name: 'merging a day',
      need: worst(cell, (size) => size.mergeBytes) / 1e6 / a.mergeMbPerSecond,
      bound: a.batchSeconds,
      unit: 's',
      spreads: true,
      remedy: 'one process does it: more memory for each thread, so that there are fewer shards',
    },
  ];
}

/** Group commit has one object for each signal and data centre. */
function objectLimit(cell: Cell, a: Assumptions): Limit {
  const perSecond = worst(cell, (size) => size.requestsDay / 86_400) * a.peakFactor;
  return {
    name: 'requests a second of one Durable Object',
    need: perSecond / a.dataCentres,
    bound: a.objectRequestsPerSecondMax,
    unit: '1/s',
    spreads: true,
    remedy: 'turn group commit off: batches of 512 items do not need it',
  };
}

/** The spool of a signal is one partition, and a partition is archived by one thread. */
function spoolLimit({ signals }: Cell, a: Assumptions): Limit {
  const [name, size] = Object.entries(signals).reduce((most, each) =>
    each[1].archiverCores > most[1].archiverCores ? each : most,
  ) as [Signal, SignalSize];
  return {
    name: `${name} through the R2 spool`,
    need: size.perSecond * a.peakFactor,
    bound: a[archivers[name]],
    unit: '1/s',
    spreads: true,
    remedy: 'Kafka as the archive leg',
  };
}

function worst({ signals }: Cell, of: (size: SignalSize) => number): number {
  return Math.max(...Object.values(signals).map(of));
}

/** The deployments over which the load has to be spread so that each one is within its limits. */
export function cellsOf(load: Load, a: Assumptions): number {
  let cells = 1;
  for (;;) {
    const limits = limitsOf(cellOf(load, a, cells), a).filter(({ spreads }) => spreads);
    const excess = Math.max(...limits.map(({ need, bound }) => need / bound));
    if (excess <= 1 || cells >= cellsMax) return cells;
    cells = Math.min(cellsMax, Math.max(cells + 1, Math.ceil(cells * Math.min(excess, 1.5))));
  }
}
