/** Gathers what `tidemark status` shows. A service that is down leaves its part empty; only reads. */
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Kafka } from '../../workers/clients/kafka/kafka.ts';
import type { KafkaLog } from '../../workers/clients/kafka/login.ts';
import type { PartitionEnds } from '../../workers/clients/kafka/lag.ts';
import type {
  ArchiveStatus,
  DeadState,
  PeriodState,
} from '../../workers/clients/commits/status.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { flushAgeMs } from '../../workers/flush/due.ts';
import type { HourRange } from '../range.ts';
import { judgePartitions, judgePeriod, judgeSignals } from './judge.ts';
import type { PartitionReport, PeriodReport, SignalReport } from './judge.ts';
import { readSchedule } from './schedule.ts';
import type { ScheduleReport } from './schedule.ts';

export interface Service {
  readonly name: string;
  readonly url: string;
  /** Why it cannot be used, if it cannot. */
  readonly error: string | undefined;
}

export interface Run {
  readonly date: string;
  readonly signal: Signal;
  readonly runId: string;
  readonly isFinal: boolean;
  readonly totalSpans: number;
  readonly duplicateSpans: number;
  readonly publishedAt: string;
}

/** All that `tidemark status --json` prints. */
export interface StatusReport {
  readonly services: readonly Service[];
  readonly signals: readonly SignalReport[];
  readonly partitions: readonly PartitionReport[];
  readonly spools: ArchiveStatus['spools'];
  readonly dead: readonly DeadState[];
  /** Hours or days of the range that was asked for. */
  readonly periods: readonly PeriodReport[];
  /** Current runs of days, newest first. */
  readonly runs: readonly Run[];
  /** Days that the next batch would compute; left out where it cannot be told. */
  readonly due?: readonly {
    readonly date: string;
    readonly signal: Signal;
    readonly reason: string;
  }[];
  /** What the batch's schedule did; left out where it cannot be read. */
  readonly schedule?: ScheduleReport;
  /** What of the archive is damaged, so that others cannot read it either. */
  readonly damage: readonly string[];
}

export interface StatusOptions {
  readonly settings: Settings;
  readonly store: ObjectStore;
  /** Without one neither the edge nor what is published is looked at. */
  readonly clickhouse?: ClickHouse;
  /** Address of the edge. */
  readonly endpoint: string;
  /** Looks whether a service is there; throws when it is not. */
  readonly probe: (url: string) => Promise<void>;
  readonly log: KafkaLog;
  readonly clock: () => number;
  /** Event hours whose periods are wanted, and their length. */
  readonly range?: HourRange & { readonly periodMs: number };
  /** Those whose periods are wanted. */
  readonly signals: readonly Signal[];
}

/** Everything that can be reached. Throws nothing that a service does: its error is in the report. */
export async function readStatus(options: StatusOptions): Promise<StatusReport> {
  const { settings } = options;
  const archive = await tried(() => readArchive(options));
  const ranged = await tried(() => readRange(options));
  const ends = await tried(() => readKafka(settings, options.log));
  const published = await readPublished(options);
  const nowMs = options.clock();
  const { partitions: states = [], unreadable = [], spools = [], dead = [] } = archive.value ?? {};
  const partitions = judgePartitions({
    partitions: states,
    unreadable,
    spools,
    // Without the archive every partition of Kafka would look as if nobody had read it.
    ends: archive.value && ends.value,
    nowMs,
    flushAgeMs: (partition) => flushAgeMs(partition, settings),
  });
  const allowedLatenessMs = settings.TIDEMARK_ALLOWED_LATENESS_MS;
  const kafka = { name: 'Kafka', url: settings.KAFKA_BROKERS, error: ends.error };
  return {
    services: [
      ...published.services,
      { name: 'object store', url: settings.S3_ENDPOINT, error: archive.error ?? ranged.error },
      ...(settings.KAFKA_BROKERS === '' ? [] : [kafka]),
    ],
    signals: judgeSignals(partitions, nowMs),
    partitions,
    spools,
    dead,
    periods: (ranged.value ?? []).map((period) =>
      judgePeriod(period, partitions, { allowedLatenessMs, nowMs }),
    ),
    runs: published.runs,
    ...(published.due && { due: published.due }),
    ...(published.schedule && { schedule: published.schedule }),
    damage: [
      ...new Set([
        ...unreadable.map(({ fault }) => fault),
        ...[ranged.damage, ...published.damage].flatMap((damage) => damage ?? []),
      ]),
    ],
  };
}

interface ArchiveParts extends ArchiveStatus {
  readonly dead: readonly DeadState[];
}

async function readArchive({ store }: StatusOptions): Promise<ArchiveParts> {
  const { archiveStatus, countDead } = await import('../../workers/clients/commits/status.ts');
  return { ...(await archiveStatus(store)), dead: await countDead(store) };
}

/** Read behind the partitions, so all that their watermarks vouch for is in it. */
async function readRange({ store, range, signals }: StatusOptions): Promise<PeriodState[]> {
  const { readPeriods } = await import('../../workers/clients/commits/status.ts');
  const periods: PeriodState[] = [];
  for (const signal of range ? signals : []) {
    if (range) periods.push(...(await readPeriods(store, signal, range)).periods);
  }
  return periods;
}

/** `undefined` where there is no Kafka. */
async function readKafka(settings: Settings, log: KafkaLog): Promise<PartitionEnds[] | undefined> {
  if (settings.KAFKA_BROKERS === '') return undefined;
  const { openKafka } = await import('../../workers/clients/kafka/kafka.ts');
  const { readEnds } = await import('../../workers/clients/kafka/lag.ts');
  const kafka: Kafka = openKafka(settings, log);
  return readEnds(kafka);
}

type Published = Pick<StatusReport, 'services' | 'runs' | 'due' | 'schedule' | 'damage'>;

async function readPublished(options: StatusOptions): Promise<Published> {
  const { settings, store, clickhouse, endpoint, probe, clock } = options;
  if (!clickhouse) return { services: [], runs: [], damage: [] };
  const { lookForDue } = await import('../../batch/due.ts');
  const edge = await tried(() => probe(new URL('/healthz', endpoint).href));
  const runs = await tried(() => readRuns(clickhouse));
  const due = await tried(() => lookForDue({ store, clickhouse, settings, clock }));
  const schedule = await tried(() => readSchedule(store, clickhouse));
  return {
    ...(schedule.value && { schedule: schedule.value }),
    services: [
      { name: 'edge', url: endpoint, error: edge.error },
      { name: 'ClickHouse', url: settings.CLICKHOUSE_URL, error: runs.error },
    ],
    runs: runs.value ?? [],
    ...(due.value && {
      due: due.value.map(({ period, ...why }) => ({ date: period.name, ...why })),
    }),
    damage: due.damage === undefined ? [] : [due.damage],
  };
}

function readRuns(clickhouse: ClickHouse): Promise<readonly Run[]> {
  return clickhouse.query(
    `SELECT toString(toDate(period_start, 'UTC')) AS date, signal, run_id AS runId,
        is_final AS isFinal, toFloat64(total_spans) AS totalSpans,
        toFloat64(duplicate_spans) AS duplicateSpans, toString(published_at) AS publishedAt
     FROM batch_current WHERE period_kind = 'day' ORDER BY period_start DESC, signal LIMIT 93`,
  );
}

interface Tried<T> {
  readonly value?: T;
  /** Why the service could not be used. */
  readonly error?: string | undefined;
  /** What it holds that is damaged, although it works. */
  readonly damage?: string | undefined;
}

async function tried<T>(task: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { value: await task() };
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'CORRUPT_ARCHIVE') {
      return { damage: error.message };
    }
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
