/**
 * Makes one Workers Analytics Engine point of one export request. Columns stand by position there:
 * docs/DEPLOY.md names them, and new ones go to the end.
 */
import type { Signal } from '../../schemas/archive.ts';
import type { MeterReading } from '../meter.ts';

/** One point: columns `index1`, `blob1` to `blob20` and `double1` to `double20`. */
export interface Point {
  readonly indexes: string[];
  readonly blobs: string[];
  readonly doubles: number[];
}

/** The Workers Analytics Engine binding. */
export interface Telemetry {
  writeDataPoint(point: Point): void;
}

/** One request, as it ended. */
export interface Visit {
  readonly signal: Signal;
  /** What it was granted as; none before it was. */
  readonly tenantId: string | undefined;
  readonly keyId: string | undefined;
  /** `OK`, or the code of its error. */
  readonly code: string;
  readonly status: number;
  readonly mediaType: string;
  /** The data centre that it came in at. */
  readonly region: string;
  readonly durationMs: number;
  /** What its own meter counted. */
  readonly reading: MeterReading;
}

/** The point of a request, with the tenant as its index: sampling is fair to each index. */
export function pointOf(visit: Visit): Point {
  const { reading } = visit;
  const waitMs = (service: string): number =>
    sumOf(reading, 'sink_seconds', `service="${service}"`) * 1000;
  return {
    indexes: [visit.tenantId ?? ''],
    blobs: [
      visit.signal,
      visit.code,
      visit.mediaType,
      visit.keyId ?? '',
      topReason(reading),
      visit.region,
    ],
    doubles: [
      visit.status,
      visit.durationMs,
      sumOf(reading, 'received_bytes_total'),
      sumOf(reading, 'items_accepted_total'),
      sumOf(reading, 'items_rejected_total'),
      sumOf(reading, 'items_quarantined_total'),
      waitMs('clickhouse'),
      waitMs('kafka_rest'),
      waitMs('r2'),
      sumOf(reading, 'sink_total', 'result="failed"'),
    ],
  };
}

/** The sum of a family over the series whose labels have `label`: of a histogram, its sum. */
function sumOf(reading: MeterReading, name: string, label = ''): number {
  return reading
    .filter(([family, labels]) => family === name && labels.includes(label))
    .filter(([, , , part]) => part === undefined || part === 'sum')
    .reduce((total, [, , value]) => total + value, 0);
}

/** The reason for which most items were rejected; empty when none was. */
function topReason(reading: MeterReading): string {
  const [top] = reading
    .filter(([family]) => family === 'items_rejected_total')
    .toSorted(([, , a], [, , b]) => b - a);
  return /reason="([^"]*)"/.exec(top?.[1] ?? '')?.[1] ?? '';
}
