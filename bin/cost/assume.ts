/**
 * What the cost model assumes: each number with its name, unit and source. Data and its checks; it computes no
 * cost. A figure `measured` here stands in the README or a guide, a `price` is a vendor's list price with its
 * date, a `bound` is this program's own or a vendor's, and `planning` is a figure to be replaced by your own.
 */
import { SettingError } from '../../schemas/errors.ts';
import { drainObjectsPerTickMax } from '../../schemas/limits.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { kernelGraphRowBytes, kernelRowBytes, shardsMax } from '../../schemas/limits/batch.ts';

export type Kind = 'measured' | 'price' | 'bound' | 'planning';

export interface Assumption {
  readonly value: number;
  readonly unit: string;
  readonly kind: Kind;
  readonly source: string;
}

const readme = 'README, Measured';
const cloudflare = 'developers.cloudflare.com/workers/platform/pricing, as of 2026-08';
const objects = 'developers.cloudflare.com/durable-objects, as of 2026';
const points = 'developers.cloudflare.com/analytics/analytics-engine/pricing, as of 2026';
const r2 = 'developers.cloudflare.com/r2/pricing, as of 2026-08';
const aws = 'aws.amazon.com, us-east-1, list prices as of 2026-06';

function row(value: number, unit: string, kind: Kind, source: string): Assumption {
  return { value, unit, kind, source };
}

/** All of them, by name. A name ends in its unit. */
export const assumptions = {
  monthHours: row(730, 'h', 'bound', 'what cloud vendors bill as a month'),
  peakFactor: row(2, 'x', 'planning', 'peak over mean, and an outage made up in its own time'),

  requestItems: row(512, 'items', 'bound', "the SDKs' default batch (BSP_MAX_EXPORT_BATCH_SIZE)"),
  spanOtlpBytes: row(400, 'B', 'measured', 'bench/payload.ts'),
  logOtlpBytes: row(285, 'B', 'measured', 'bench/payload/logs.ts'),
  pointOtlpBytes: row(194, 'B', 'measured', 'bench/payload/metrics.ts'),

  edgeUsPerItem: row(4.5, 'us', 'measured', `${readme}: workerd, both legs, in a slow hour`),
  workerRequestsUsdPerMillion: row(0.3, 'USD', 'price', cloudflare),
  workerCpuUsdPerMillionMs: row(0.02, 'USD', 'price', cloudflare),
  workerRequestsIncluded: row(10e6, 'requests a month', 'price', cloudflare),
  workerCpuMsIncluded: row(30e6, 'ms a month', 'price', cloudflare),
  workerPlanUsd: row(5, 'USD a month', 'price', cloudflare),
  pointsWrittenUsdPerMillion: row(0.25, 'USD', 'price', `${points}; one point a request`),
  pointsWrittenIncluded: row(10e6, 'points a month', 'price', points),
  objectRequestsUsdPerMillion: row(0.15, 'USD', 'price', objects),
  objectUsdPerMillionGbSeconds: row(12.5, 'USD', 'price', objects),
  objectGb: row(0.128, 'GB', 'price', `${objects}: what each object is billed`),
  objectRequestsPerSecondMax: row(1000, '1/s', 'bound', `${objects}: soft limit of one object`),
  dataCentres: row(
    50,
    'places',
    'planning',
    'Cloudflare data centres that your senders come in at',
  ),
  drainObjectsPerMinute: row(
    drainObjectsPerTickMax,
    'objects',
    'bound',
    'schemas/limits.ts, drainObjectsPerTickMax, a tick a minute',
  ),

  kafkaCompression: row(4.7, 'x', 'planning', 'zstd on production traces, otel-arrow phase 1'),
  kafkaReplicas: row(3, 'copies', 'planning', 'replication factor'),
  kafkaPartitionMbPerSecond: row(10, 'MB/s', 'planning', 'written to one partition'),
  kafkaBrokerMbPerSecond: row(75, 'MB/s', 'planning', 'written by one broker, replicas included'),
  kafkaBrokerVcpus: row(4, 'vCPU', 'planning', 'of one broker'),
  kafkaBrokersMin: row(3, 'brokers', 'planning', 'one a zone'),
  kafkaZoneCrossings: row(3.3, 'x', 'planning', 'two replicas; two thirds of writes and reads'),
  gatewayUsPerItem: row(1, 'us', 'planning', 'tidemark kafka-rest or another proxy; not measured'),
  zoneUsdPerGb: row(0.02, 'USD', 'price', `${aws}: 0.01 a GB on each side between zones`),

  archiverSpansPerCpuSecond: row(163_000, '1/s', 'measured', `${readme} (archive)`),
  archiverLogsPerCpuSecond: row(162_000, '1/s', 'measured', `${readme} (archive)`),
  archiverPointsPerCpuSecond: row(172_000, '1/s', 'measured', `${readme} (archive)`),
  spanParquetBytes: row(57, 'B', 'measured', `${readme} (archive)`),
  logParquetBytes: row(72, 'B', 'measured', `${readme} (archive)`),
  pointParquetBytes: row(33, 'B', 'measured', `${readme} (archive)`),
  flushRows: row(250_000, 'rows', 'bound', 'TIDEMARK_FLUSH_ROWS'),
  flushFiles: row(25, 'files', 'measured', 'docs/FILES.md: 1 % late over 24 h, one file an hour'),

  compactUsPerRow: row(24, 'us', 'measured', 'docs/COMPACTION.md: a merge, a span'),
  compactInputs: row(10, 'files', 'planning', '512 MiB over row groups of 20 to 100 MB, decoded'),
  rowGroupGets: row(3, 'requests', 'planning', 'ranges of a row group that a shard reads'),
  rowGroupRows: row(rowGroupRows, 'rows', 'bound', 'schemas/limits/archive.ts'),

  r2StorageUsdPerGb: row(0.015, 'USD a month', 'price', r2),
  r2ClassAUsdPerMillion: row(4.5, 'USD', 'price', r2),
  r2ClassBUsdPerMillion: row(0.36, 'USD', 'price', r2),
  r2StorageGbIncluded: row(10, 'GB', 'price', r2),
  r2ClassAIncluded: row(1e6, 'requests a month', 'price', r2),
  r2ClassBIncluded: row(10e6, 'requests a month', 'price', r2),
  egressTo10TbUsdPerGb: row(0.09, 'USD', 'price', `${aws}: out to R2, a month's first 10 TB`),
  egressTo50TbUsdPerGb: row(0.085, 'USD', 'price', `${aws}: the next 40 TB`),
  egressTo150TbUsdPerGb: row(0.07, 'USD', 'price', `${aws}: the next 100 TB`),
  egressBeyondUsdPerGb: row(0.05, 'USD', 'price', `${aws}: what is above`),

  clickHouseUsPerItem: row(36, 'us', 'measured', `${readme}: 0.9 cores at 50 x 500 spans/s`),
  clickHouseSpanBytes: row(49, 'B', 'measured', `${readme} (archive)`),
  clickHouseGraphBytes: row(26, 'B', 'measured', 'docs/SCALING.md: a span in its other tables'),
  clickHouseLogBytes: row(44, 'B', 'measured', `${readme} (archive)`),
  clickHousePointBytes: row(24, 'B', 'measured', `${readme} (archive)`),
  clickHouseReplicas: row(2, 'copies', 'planning', 'each inserts and merges'),
  clickHouseQueryShare: row(0.5, 'x', 'planning', 'of the cores, kept for queries'),
  clickHouseDiskFill: row(0.7, 'x', 'planning', 'of the disk; merges need room'),

  batchNsPerSpan: row(344, 'ns', 'measured', `${readme} (batch): 50 M spans, hour run`),
  graphNsPerSpan: row(390, 'ns', 'measured', `${readme} (batch): what a day takes beside that`),
  batchNsPerLog: row(1000, 'ns', 'planning', 'not measured'),
  batchNsPerPoint: row(1000, 'ns', 'planning', 'not measured'),
  batchSeconds: row(3600, 's', 'planning', 'within which a day is to be computed'),
  batchThreadBytes: row(2 ** 30, 'B', 'planning', 'TIDEMARK_BATCH_MEMORY_BYTES of each thread'),
  shardRowBytes: row(
    kernelRowBytes + kernelGraphRowBytes,
    'B',
    'bound',
    'schemas/limits/batch.ts; half of the memory is left free',
  ),
  shardsMax: row(shardsMax, 'shards', 'bound', 'schemas/limits/batch.ts'),
  operations: row(5000, 'operations', 'planning', 'service, operation and kind; of all tenants'),
  groupBuckets: row(350, 'buckets', 'measured', 'docs/EXACTNESS.md: two decades of durations'),
  headerBucketBytes: row(
    3,
    'B',
    'planning',
    'schemas/partials/spans.ts: two varints for each bucket',
  ),
  mergeMbPerSecond: row(100, 'MB/s', 'planning', 'headers that one process reads and adds up'),

  vcpuUsdPerHour: row(0.0408, 'USD', 'price', `${aws}: half an m7g.large`),
  diskUsdPerGb: row(0.08, 'USD a month', 'price', `${aws}: gp3`),
} as const satisfies Readonly<Record<string, Assumption>>;

export type AssumptionName = keyof typeof assumptions;
export type Assumptions = Readonly<Record<AssumptionName, number>>;

/**
 * The values, with some of them replaced. Throws `SettingError` for a name that there is not, and for a value
 * that is no number above 0 (prices and what is included may be 0).
 */
export function assume(given: Readonly<Record<string, unknown>> = {}): Assumptions {
  for (const [name, value] of Object.entries(given)) {
    if (!isName(name)) throw bad(name, 'there is no such assumption');
    const least = assumptions[name].kind === 'price' ? 0 : Number.MIN_VALUE;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < least) {
      throw bad(name, `${JSON.stringify(value)} is no number above 0`);
    }
  }
  const defaults = Object.entries(assumptions).map(([name, { value }]) => [name, value]);
  return { ...Object.fromEntries(defaults), ...given } as Assumptions;
}

function isName(name: string): name is AssumptionName {
  return Object.hasOwn(assumptions, name);
}

function bad(name: string, reason: string): SettingError {
  return new SettingError(name, `Cannot assume ${name}: ${reason}`);
}
