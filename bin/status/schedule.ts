/** Gathers what the batch's schedule has done lately: who leads, ticks, and what failed. Only reads. */
import type { Signal } from '../../schemas/archive.ts';
import { statusFailuresMax } from '../../schemas/limits/batch.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

export interface ScheduleReport {
  /** The scheduler that has or had the lease; `undefined` when none ever ran. */
  readonly leader:
    | {
        readonly name: string;
        readonly term: number;
        /** By its own clock. */
        readonly renewedAt: string;
        readonly leaseMs: number;
        /** It has stopped, and given the lease back. */
        readonly released: boolean;
      }
    | undefined;
  /** The last tick of each kind, and how many were missed in a week. */
  readonly ticks: readonly {
    readonly kind: PeriodKind;
    readonly at: string;
    readonly state: string;
    readonly published: number;
    readonly failed: number;
    readonly missed: number;
  }[];
  /** Periods whose last computation failed, the newest first. */
  readonly failures: readonly {
    readonly kind: PeriodKind;
    readonly signal: Signal;
    readonly start: string;
    readonly failedAt: string;
    readonly attempts: number;
    readonly message: string;
  }[];
}

/** Throws what the store and ClickHouse throw. */
export async function readSchedule(
  store: ObjectStore,
  clickhouse: ClickHouse,
): Promise<ScheduleReport> {
  const { readLease } = await import('../../batch/scheduler/lease.ts');
  const { scheduleLease } = await import('../../batch/scheduler.ts');
  const lease = await readLease(store, scheduleLease);
  const leader = lease && {
    name: lease.name,
    term: lease.term,
    renewedAt: lease.writtenAt,
    leaseMs: lease.leaseMs,
    released: lease.released,
  };
  const ticks = await clickhouse.query<ScheduleReport['ticks'][number]>(
    `SELECT period_kind AS kind, toString(max(tick_at)) AS at, argMax(ticks.state, tick_at) AS state,
       toUInt32(argMax(ticks.published, tick_at)) AS published,
       toUInt32(argMax(ticks.failed, tick_at)) AS failed,
       toUInt32(countIf(ticks.state = 'missed' AND tick_at > now() - INTERVAL 7 DAY)) AS missed
     FROM batch_ticks AS ticks GROUP BY period_kind ORDER BY kind`,
  );
  const failures = await clickhouse.query<ScheduleReport['failures'][number]>(
    `SELECT period_kind AS kind, signal, toString(period_start) AS start,
       toString(failed_at) AS failedAt, attempts, message
     FROM batch_failures ORDER BY failed_at DESC LIMIT {max:UInt32}`,
    { max: statusFailuresMax },
  );
  return { leader, ticks, failures };
}
