/**
 * What a load costs: the resources of as many deployments as its limits ask for, and USD a month. A pure
 * function of load and assumptions; see `assume.ts` for where each number is from.
 */
import type { Assumptions } from './assume.ts';
import { cellOf, type Cell } from './cell.ts';
import { cellsOf, limitsOf, type Limit } from './limit.ts';
import { whole, type Load } from './size.ts';

export type Part = 'edge' | 'kafka' | 'archiver' | 'bucket' | 'clickhouse' | 'batch';

export interface Line {
  readonly part: Part;
  readonly what: string;
  /** In `unit`, for all deployments together. */
  readonly amount: number;
  readonly unit: string;
  readonly usdMonth: number;
}

export interface CostReport {
  readonly load: Load;
  /** Deployments, each with a bucket, that the load has to be spread over. */
  readonly cells: number;
  readonly lines: readonly Line[];
  readonly usdMonth: number;
  /** USD for each million items. */
  readonly usdPerMillion: number;
  /** Of one deployment. */
  readonly limits: readonly Limit[];
}

/** Prices the load. Items of a day are numbers of 0 and above; nothing at all costs the plan alone. */
export function costOf(load: Load, a: Assumptions): CostReport {
  const cells = cellsOf(load, a);
  const cell = cellOf(load, a, cells);
  const month = { days: a.monthHours / 24, cells };
  const lines = [
    ...edge(cell, a, month),
    ...(load.kafka ? kafka(cell, a, month) : []),
    machines('archiver', 'archivers', cell.sum((size) => size.archiverCores) * cells, a),
    ...bucket(cell, a, month),
    ...clickHouse(cell, a, month),
    ...batch(cell, a, month),
  ];
  const usdMonth = lines.reduce((sum, each) => sum + each.usdMonth, 0);
  const items = Object.values(load.items).reduce((sum, each) => sum + each, 0) * month.days;
  return {
    load,
    cells,
    lines,
    usdMonth,
    usdPerMillion: items === 0 ? 0 : usdMonth / (items / 1e6),
    limits: limitsOf(cell, a),
  };
}

interface Month {
  readonly days: number;
  readonly cells: number;
}

function edge({ load, sum }: Cell, a: Assumptions, { days, cells }: Month): Line[] {
  const requests = sum((size) => size.requestsDay) * days * cells;
  const cpuMs = (sum((size) => size.itemsDay) * days * cells * a.edgeUsPerItem) / 1000;
  const points = requests;
  const lines = [
    line('edge', 'Workers: plan', 1, 'account', a.workerPlanUsd),
    line(
      'edge',
      'Workers: requests',
      requests,
      'a month',
      perMillion(requests - a.workerRequestsIncluded, a.workerRequestsUsdPerMillion),
    ),
    line(
      'edge',
      'Workers: processor time',
      cpuMs / 3.6e6,
      'core hours a month',
      perMillion(cpuMs - a.workerCpuMsIncluded, a.workerCpuUsdPerMillionMs),
    ),
    line(
      'edge',
      'Analytics Engine: points',
      points,
      'a month',
      perMillion(points - a.pointsWrittenIncluded, a.pointsWrittenUsdPerMillion),
    ),
  ];
  if (!load.group) return lines;
  const objects = sum((size) => (size.itemsDay > 0 ? a.dataCentres : 0)) * cells;
  const gbSeconds = objects * a.objectGb * a.monthHours * 3600;
  const usd = perMillion(requests, a.objectRequestsUsdPerMillion);
  const usdAwake = perMillion(gbSeconds, a.objectUsdPerMillionGbSeconds);
  return [...lines, line('edge', 'Durable Objects', objects, 'objects', usd + usdAwake)];
}

function kafka({ load, sum }: Cell, a: Assumptions, { days, cells }: Month): Line[] {
  const gbDay = sum((size) => size.otlpBytesDay) / a.kafkaCompression / 1e9;
  const mbPerSecond = (gbDay * 1000) / 86_400;
  const written = mbPerSecond * a.peakFactor * a.kafkaReplicas;
  const brokers = Math.max(a.kafkaBrokersMin, whole(written / a.kafkaBrokerMbPerSecond)) * cells;
  const disk = gbDay * load.kafkaDays * a.kafkaReplicas * cells;
  const zoneGb = gbDay * days * a.kafkaZoneCrossings * cells;
  const cores = (sum((size) => size.perSecond) * a.peakFactor * a.gatewayUsPerItem * cells) / 1e6;
  const brokerUsd = brokers * a.kafkaBrokerVcpus * a.vcpuUsdPerHour * a.monthHours;
  const partitions = sum((size) => size.partitions) * cells;
  return [
    line('kafka', 'partitions', partitions, 'partitions', 0),
    line('kafka', 'brokers', brokers, 'brokers', brokerUsd),
    line('kafka', 'disk', disk, 'GB', disk * a.diskUsdPerGb),
    line('kafka', 'traffic between zones', zoneGb, 'GB a month', zoneGb * a.zoneUsdPerGb),
    machines('kafka', 'REST gateways', cores, a),
  ];
}

function bucket({ load, sum }: Cell, a: Assumptions, { days, cells }: Month): Line[] {
  const writtenDay = sum((size) => size.parquetBytesDay) / 1e9;
  const again = sum((size) => (size.parquetBytesDay * size.compactPasses) / 1e9);
  // Files that were replaced stay a day for those who read them.
  const gb = (writtenDay * load.archiveDays + again) * cells;
  const spooled = load.kafka ? 0 : sum((size) => size.requestsDay);
  const stored = sum((size) => size.filesDay + size.flushesDay + size.shards);
  const classA = (stored + spooled) * days * cells;
  const classB = (sum((size) => size.batchGetsDay + size.filesDay) + spooled) * days * cells;
  const egressGb = (writtenDay + again) * days * cells;
  return [
    line(
      'bucket',
      'R2: storage',
      gb,
      'GB',
      Math.max(0, gb - a.r2StorageGbIncluded) * a.r2StorageUsdPerGb,
    ),
    line(
      'bucket',
      'R2: class A requests',
      classA,
      'a month',
      perMillion(classA - a.r2ClassAIncluded, a.r2ClassAUsdPerMillion),
    ),
    line(
      'bucket',
      'R2: class B requests',
      classB,
      'a month',
      perMillion(classB - a.r2ClassBIncluded, a.r2ClassBUsdPerMillion),
    ),
    line('bucket', 'egress to R2', egressGb, 'GB a month', egressUsd(egressGb, a)),
  ];
}

function clickHouse({ load, sum }: Cell, a: Assumptions, { cells }: Month): Line[] {
  const perSecond = sum((size) => size.perSecond) * cells;
  const busy = (perSecond * a.peakFactor * a.clickHouseUsPerItem * a.clickHouseReplicas) / 1e6;
  const bytes = sum((size) => size.clickHouseBytesDay) * load.speedDays * a.clickHouseReplicas;
  const gb = (bytes / 1e9 / a.clickHouseDiskFill) * cells;
  return [
    machines('clickhouse', 'servers', busy / (1 - a.clickHouseQueryShare), a),
    line('clickhouse', 'disk', gb, 'GB', gb * a.diskUsdPerGb),
  ];
}

function batch({ sum }: Cell, a: Assumptions, { days, cells }: Month): Line[] {
  const hours = (sum((size) => size.batchCpuSecondsDay) * days * cells) / 3600;
  const compacting = (sum((size) => size.compactHourSeconds) * 24 * days * cells) / 3600;
  const cores = (sum((size) => size.batchCpuSecondsDay) * cells) / a.batchSeconds;
  return [
    line('batch', 'cores for a day in time', whole(cores), 'vCPU', 0),
    line('batch', 'runs', hours, 'core hours a month', hours * a.vcpuUsdPerHour),
    line('batch', 'compaction', compacting, 'core hours a month', compacting * a.vcpuUsdPerHour),
  ];
}

/** Whole cores that run all month; at least one. */
function machines(part: Part, what: string, cores: number, a: Assumptions): Line {
  const count = Math.max(1, whole(cores));
  return line(part, what, count, 'vCPU', count * a.vcpuUsdPerHour * a.monthHours);
}

/** What leaves the cloud that computes, by the month's tiers. */
function egressUsd(gb: number, a: Assumptions): number {
  const tiers = [
    [10_000, a.egressTo10TbUsdPerGb],
    [40_000, a.egressTo50TbUsdPerGb],
    [100_000, a.egressTo150TbUsdPerGb],
    [Infinity, a.egressBeyondUsdPerGb],
  ] as const;
  let [left, usd] = [gb, 0];
  for (const [size, price] of tiers) {
    const part = Math.min(left, size);
    usd += part * price;
    left -= part;
  }
  return usd;
}

function perMillion(amount: number, usd: number): number {
  return (Math.max(0, amount) / 1e6) * usd;
}

function line(part: Part, what: string, amount: number, unit: string, usdMonth: number): Line {
  return { part, what, amount, unit, usdMonth };
}
