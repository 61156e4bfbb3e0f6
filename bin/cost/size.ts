/**
 * How much of each resource one deployment (one bucket) takes for a load: rates, bytes, files, shards, cores.
 * A pure function of load and assumptions; it knows no prices.
 */
import type { Signal } from '../../schemas/archive.ts';
import type { Assumptions } from './assume.ts';

/** What is sent and kept. */
export interface Load {
  /** Items a day: spans, log records, data points. */
  readonly items: Readonly<Record<Signal, number>>;
  /** Days that the archive, ClickHouse's speed tables and Kafka keep. */
  readonly archiveDays: number;
  readonly speedDays: number;
  readonly kafkaDays: number;
  /** Whether the archive leg is Kafka, not the R2 spool alone. */
  readonly kafka: boolean;
  /** Whether requests are merged in Durable Objects (TIDEMARK_GROUP_MS). */
  readonly group: boolean;
}

/** Of one signal. Sizes are bytes, `…Day` is for each day. */
export interface SignalSize {
  readonly itemsDay: number;
  readonly perSecond: number;
  readonly requestsDay: number;
  readonly otlpBytesDay: number;
  readonly parquetBytesDay: number;
  readonly clickHouseBytesDay: number;
  /** Cores of archivers at the peak. */
  readonly archiverCores: number;
  readonly partitions: number;
  readonly flushesDay: number;
  readonly filesDay: number;
  /** Times that a row is written again, and seconds of one compactor for one hour. */
  readonly compactPasses: number;
  readonly compactHourSeconds: number;
  readonly shards: number;
  /** Rows that are read for each one that a shard has. */
  readonly amplification: number;
  readonly batchCpuSecondsDay: number;
  readonly batchGetsDay: number;
  /** Headers of all partials, which one process reads. */
  readonly mergeBytes: number;
}

/** The least whole number that is not below `amount`, but for the rounding of doubles. */
export function whole(amount: number): number {
  return Math.ceil(amount - Math.abs(amount) * 1e-9);
}

const secondsOfDay = 86_400;
const hoursOfDay = 24;

const perSignal = {
  traces: ['spanOtlpBytes', 'spanParquetBytes', 'clickHouseSpanBytes', 'archiverSpansPerCpuSecond'],
  logs: ['logOtlpBytes', 'logParquetBytes', 'clickHouseLogBytes', 'archiverLogsPerCpuSecond'],
  metrics: [
    'pointOtlpBytes',
    'pointParquetBytes',
    'clickHousePointBytes',
    'archiverPointsPerCpuSecond',
  ],
} as const;

/** What `signal` takes. Every figure is 0 for a signal that is not sent, but for `amplification`, 1. */
export function sizeOf(signal: Signal, load: Load, a: Assumptions): SignalSize {
  const itemsDay = load.items[signal];
  const [otlp, parquet, clickHouse, archiver] = perSignal[signal];
  const perSecond = itemsDay / secondsOfDay;
  const others = signal === 'traces' ? a.clickHouseGraphBytes : 0;
  const archiverCores = (perSecond * a.peakFactor) / a[archiver];
  const otlpBytesDay = itemsDay * a[otlp];
  const partitions = load.kafka ? partitionsOf(otlpBytesDay, archiverCores, a) : 0;
  // The spool is flushed every minute, a partition every hour, unless it is full before.
  const flushesByAge = load.kafka ? partitions * hoursOfDay : hoursOfDay * 60;
  const flushesDay = itemsDay === 0 ? 0 : Math.max(itemsDay / a.flushRows, flushesByAge);
  const filesDay = flushesDay * a.flushFiles;
  const compaction = compactionOf(itemsDay, flushesDay, a);
  return {
    itemsDay,
    perSecond,
    requestsDay: itemsDay / a.requestItems,
    otlpBytesDay,
    parquetBytesDay: itemsDay * a[parquet],
    clickHouseBytesDay: itemsDay * (a[clickHouse] + others),
    archiverCores,
    partitions,
    flushesDay,
    filesDay,
    ...compaction,
    ...batchOf(signal, { itemsDay, flushesDay, ...compaction }, a),
  };
}

/** So many that no partition has more than it takes, nor more than a core archives. */
function partitionsOf(otlpBytesDay: number, archiverCores: number, a: Assumptions): number {
  const bytesPerSecond = (otlpBytesDay / secondsOfDay / a.kafkaCompression) * a.peakFactor;
  const byBytes = whole(bytesPerSecond / 1e6 / a.kafkaPartitionMbPerSecond);
  return Math.max(byBytes, whole(archiverCores));
}

interface Compaction {
  readonly compactPasses: number;
  readonly compactHourSeconds: number;
}

/**
 * The files of an hour are merged a few at a time, so rows are written log(files) times. Files of what came
 * late have few rows and do not count.
 */
function compactionOf(itemsDay: number, flushesDay: number, a: Assumptions): Compaction {
  const files = flushesDay / hoursOfDay;
  if (files <= 1) return { compactPasses: 0, compactHourSeconds: 0 };
  const compactPasses = whole(Math.log(files) / Math.log(a.compactInputs));
  const rows = itemsDay / hoursOfDay;
  return { compactPasses, compactHourSeconds: (rows * compactPasses * a.compactUsPerRow) / 1e6 };
}

interface Stored extends Compaction {
  readonly itemsDay: number;
  readonly flushesDay: number;
}

type Batch = Pick<
  SignalSize,
  'shards' | 'amplification' | 'batchCpuSecondsDay' | 'batchGetsDay' | 'mergeBytes'
>;

function batchOf(signal: Signal, stored: Stored, a: Assumptions): Batch {
  const { itemsDay } = stored;
  const day = readOf(itemsDay, 1, stored, a);
  const nanoseconds = {
    traces: a.batchNsPerSpan + a.graphNsPerSpan,
    logs: a.batchNsPerLog,
    metrics: a.batchNsPerPoint,
  };
  let cpuNs = itemsDay * nanoseconds[signal] * day.amplification;
  let gets = day.gets;
  if (signal === 'traces') {
    // Each hour has a run of its own, without the service graph.
    const hour = readOf(itemsDay / hoursOfDay, hoursOfDay, stored, a);
    cpuNs += itemsDay * a.batchNsPerSpan * hour.amplification;
    gets += hour.gets * hoursOfDay;
  }
  const rowsOfGroup = day.shards === 0 ? 0 : itemsDay / day.shards / a.operations;
  const buckets = Math.min(a.groupBuckets, rowsOfGroup);
  return {
    shards: day.shards,
    amplification: day.amplification,
    batchCpuSecondsDay: cpuNs / 1e9,
    batchGetsDay: gets,
    mergeBytes: day.shards * a.operations * buckets * a.headerBucketBytes,
  };
}

/**
 * How a run reads. A shard takes its range of ids of every sorted run of rows (a compacted hour, else a file),
 * by whole row groups: one more than it needs of each.
 */
function readOf(rows: number, parts: number, stored: Stored, a: Assumptions) {
  if (rows === 0) return { shards: 0, amplification: 1, gets: 0 };
  const shards = whole(rows / Math.floor(a.batchThreadBytes / a.shardRowBytes / 2));
  const isCompacted = stored.compactHourSeconds <= 3600;
  const runsDay = isCompacted ? hoursOfDay : stored.flushesDay;
  const runs = runsDay / parts;
  const groupsNeeded = rows / a.rowGroupRows;
  const amplification = 1 + (shards === 1 ? 0 : (shards * runs) / groupsNeeded);
  return { shards, amplification, gets: groupsNeeded * amplification * a.rowGroupGets };
}
