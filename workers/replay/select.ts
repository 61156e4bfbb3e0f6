/** Chooses the rows of a row group that a replay asks for: by time, tenant and service. */
import type { Signal } from '../../schemas/archive.ts';
import type { Names, RowColumns } from '../clients/parquet/rows.ts';
import type { ReplayQuery } from './plan.ts';

/** The columns of items' own times. */
const timeColumns: Record<Signal, string> = {
  traces: 'Timestamp',
  logs: 'Timestamp',
  metrics: 'TimeUnix',
};

/** The columns that `selectRows` looks at. */
export function selectColumns(signal: Signal): string[] {
  return [timeColumns[signal], 'IngestedAt', 'Quarantined', 'TenantId', 'ServiceName'];
}

/** Indexes of the rows that the query asks for, ascending. */
export function selectRows(
  signal: Signal,
  columns: RowColumns,
  query: Omit<ReplayQuery, 'signals'>,
): Uint32Array {
  const isOwn = matcher(columns.names('TenantId'), query.tenantId);
  const isService = matcher(columns.names('ServiceName'), query.service);
  const times = columns.longs(timeColumns[signal]).values;
  const ingested = columns.longs('IngestedAt').values;
  const quarantined = columns.bits('Quarantined');
  const [fromMs, toMs] = [BigInt(query.fromMs), BigInt(query.toMs)];
  const [fromNs, toNs] = [fromMs * 1_000_000n, toMs * 1_000_000n];
  const rows = new Uint32Array(columns.rows);
  let count = 0;
  for (let row = 0; row < columns.rows; row += 1) {
    if (!isOwn(row) || !isService(row)) continue;
    // A quarantined item's own time may be anything; it lies under the hour of its receipt.
    const isWild = ((quarantined[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
    const time = (isWild ? ingested[row] : times[row]) ?? 0n;
    const inside = isWild ? time >= fromMs && time < toMs : time >= fromNs && time < toNs;
    if (inside) rows[count++] = row;
  }
  return rows.subarray(0, count);
}

/** Whether a row has this name: one comparison of numbers a row. */
function matcher(names: Names, wanted: string | undefined): (row: number) => boolean {
  if (wanted === undefined) return () => true;
  const codes = new Set<number>();
  for (let code = 0; code < names.count; code += 1) {
    if (names.values.text(code) === wanted) codes.add(code);
  }
  return (row) => codes.has(names.code(row));
}
