/**
 * What repair has to know of each signal, as data: how items of the archive and rows of the speed tables
 * are told apart, and which of several copies stays. Identities are those of drift, which see.
 */
import type { Signal } from '../../schemas/archive.ts';
import type { EventWindow, SignalDrift } from '../drift.ts';
import { archivedRecord, logDrift, storedRecord } from '../logs/drift.ts';
import { pointDrift, pointItem, pointTypes } from '../metrics/drift.ts';
import { archivedSpan, spanDrift, storedSpan } from '../traces/drift.ts';

export interface SignalRepair {
  /** Slices, speed tables and times of the comparison, and whether several items have one identity. */
  readonly drift: SignalDrift;
  /** The archive's columns that are read, with their ClickHouse types. */
  readonly structure: readonly string[];
  /** The column that the rows of files ascend by. */
  readonly sortId: string;
  /** Of copies that differ the last received stays, else the first. */
  readonly keepsLast: boolean;
  /**
   * The distinct items of the archive: `item`, what drift matches by; `fine`, a hash of all that can be
   * compared; `place`, where the copy lies that counts. Rows of `source` have a `place` of their own.
   */
  archive(source: string, window: EventWindow): string;
  /** `item` and `fine` of a row of a speed table. */
  speed(table: string): { readonly item: string; readonly fine: string };
}

/** The order of deliveries. */
const arrival = '(IngestedAt, Partition, Offset, ItemIndex)';

/** What differs between log records beside drift's identity, in columns that both layers have. */
const recordDetails = [
  'toUInt8(TraceFlags)',
  ...['EventName', 'ScopeName', 'ScopeVersion', 'ResourceSchemaUrl', 'ScopeSchemaUrl'].map(
    (name) => `toString(${name})`,
  ),
  ...['LogAttributes', 'ResourceAttributes', 'ScopeAttributes'].map(
    (name) => `toString(mapSort(CAST(${name}, 'Map(String, String)')))`,
  ),
].join(', ');

/** A hash of a record's identity and of its details. */
function fineRecord(record: string): string {
  return `sipHash128(${record}, ${recordDetails})`;
}

export const signalRepairs: Readonly<Record<Signal, SignalRepair>> = {
  traces: {
    drift: spanDrift,
    structure: spanDrift.structure,
    sortId: 'TraceId',
    keepsLast: false,
    archive: (source) => `
      SELECT ${archivedSpan} AS item, item AS fine, argMin(place, ${arrival}) AS place
      FROM ${source} GROUP BY item`,
    speed: () => ({ item: storedSpan, fine: storedSpan }),
  },
  logs: {
    drift: logDrift,
    structure: [
      ...logDrift.structure,
      'SortKey FixedString(16)',
      "Time Nullable(DateTime64(9, 'UTC'))",
      "ObservedTime Nullable(DateTime64(9, 'UTC'))",
      'TraceFlags UInt32',
      'EventName String',
      'ScopeName String',
      'ScopeVersion String',
      'ResourceSchemaUrl String',
      'ScopeSchemaUrl String',
      'LogAttributes Map(String, String)',
      'ResourceAttributes Map(String, String)',
      'ScopeAttributes Map(String, String)',
    ],
    sortId: 'SortKey',
    keepsLast: false,
    // A record without a time of its own has that of its receipt, of which each layer has its own.
    archive: (source) => `
      SELECT argMin(${archivedRecord}, ${arrival}) AS item,
        argMin(${fineRecord(archivedRecord)}, ${arrival}) AS fine,
        argMin(place, ${arrival}) AS place
      FROM ${source}
      WHERE Time IS NOT NULL OR ObservedTime IS NOT NULL
      GROUP BY TenantId, ContentHash, ContentOccurrence`,
    speed: () => ({ item: storedRecord, fine: fineRecord(storedRecord) }),
  },
  metrics: {
    drift: pointDrift,
    structure: [...pointDrift.structure, 'Partition Int32', 'Offset Int64', 'ItemIndex UInt32'],
    sortId: 'SeriesHash',
    keepsLast: true,
    archive: (source, { from, to }) => `
      SELECT any(${pointItem('MetricType')}) AS item, item AS fine, argMax(place, ${arrival}) AS place
      FROM ${source}
      WHERE TimeUnix >= ${from} AND TimeUnix < ${to}
      GROUP BY TenantId, SeriesHash, StartTimeUnix, TimeUnix`,
    speed: (table) => {
      const item = pointItem(`'${pointTypes[table as keyof typeof pointTypes]}'`);
      return { item, fine: item };
    },
  },
};
