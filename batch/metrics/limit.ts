/**
 * The guard against too many series: of each service the first ones, ascending by hash, are kept one by
 * one, and the others are summed up by hour. Which are kept depends on the set of series only, so a
 * shard may leave out those that cannot be among the first of the period.
 */
import type { OverflowHour, Series } from '../../schemas/partials/points.ts';

export class SeriesLimit {
  readonly #max: number;
  readonly #kept = new Map<string, number>();
  readonly #overflow = new Map<string, OverflowHour>();

  /** `max` series of one tenant's service are kept. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether the series is kept; if not, it is added to the overflow. Call in ascending order. */
  keeps(series: Series): boolean {
    const { tenantId, serviceName } = series.name;
    const service = JSON.stringify([tenantId, serviceName]);
    const kept = this.#kept.get(service) ?? 0;
    if (kept < this.#max) {
      this.#kept.set(service, kept + 1);
      return true;
    }
    for (const { hourMs, points, duplicates, conflicts } of series.hours) {
      this.add({ tenantId, serviceName, hourMs, series: 1, points, duplicates, conflicts });
    }
    return false;
  }

  /** Adds to the overflow. */
  add(hour: OverflowHour): void {
    const key = JSON.stringify([hour.tenantId, hour.serviceName, hour.hourMs]);
    const known = this.#overflow.get(key);
    this.#overflow.set(key, known === undefined ? hour : sumOf(known, hour));
  }

  /** The overflow so far, in the order of tenants, services and hours. */
  overflow(): OverflowHour[] {
    return [...this.#overflow.values()].toSorted(
      (a, b) =>
        compare(a.tenantId, b.tenantId) ||
        compare(a.serviceName, b.serviceName) ||
        a.hourMs - b.hourMs,
    );
  }
}

function sumOf(a: OverflowHour, b: OverflowHour): OverflowHour {
  return {
    ...a,
    series: a.series + b.series,
    points: a.points + b.points,
    duplicates: a.duplicates + b.duplicates,
    conflicts: a.conflicts + b.conflicts,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
