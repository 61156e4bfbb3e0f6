/**
 * Finds one trace in the archive by what commits and replacements say of their files' row groups:
 * a file that cannot hold the trace is not opened, and of one that can, only the footer and the row
 * groups in question are read. It looks nothing up in ClickHouse and writes nothing.
 */
import type { Signal } from '../schemas/archive.ts';
import { traceFilesAtOnce } from '../schemas/limits/archive.ts';
import { listPeriodFiles } from './clients/commits/archive.ts';
import type { PeriodFile } from './clients/commits/archive.ts';
import { readRange } from './clients/parquet/range.ts';
import type { CallOptions, ObjectStore } from './clients/store/objects.ts';
import { mapParallel } from './clients/parallel.ts';
import { ArchiveFile } from './clients/parquet/parquet.ts';
import type { RowColumns } from './clients/parquet/rows.ts';
import { TraceRows } from './lookup/row.ts';
import type { TraceRow } from './lookup/row.ts';
import { Rebuilder } from './rebuild.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const signal: Signal = 'traces';

export interface TraceQuery {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** Event time, ms since 1970: every hour that [fromMs, toMs) touches is searched. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Only spans of this tenant. */
  readonly tenantId?: string | undefined;
  /** Whether spans count whose times are far from their receipt, as `Quarantined` says. @default true */
  readonly withQuarantined?: boolean;
  /** Search day by day, the newest first, and end once the tree of spans has no gap. */
  readonly untilWhole: boolean;
}

/** A span of the trace, as one delivery of it lies in the archive. */
export interface ArchivedSpan {
  readonly tenantId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  /** A delivery before this one has the same tenant, span id and kind. */
  readonly isDuplicate: boolean;
  /** An ExportTraceServiceRequest of this span alone. */
  readonly request: Uint8Array;
  /** The span as the read API shows it. */
  readonly row: () => TraceRow;
}

export interface TraceSearch {
  /** In the order in which they were received. */
  readonly spans: readonly ArchivedSpan[];
  /** The event hours that were searched, ms since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Files of those hours, and those of them that were opened. */
  readonly fileCount: number;
  readonly filesRead: number;
}

/** A span before it is known what else was delivered. */
interface Delivery extends Omit<ArchivedSpan, 'isDuplicate'> {
  /** What tells spans apart: DESIGN.md, decision 7. */
  readonly identity: string;
  /** Receive time, partition, offset, index in the request: the order of deliveries. */
  readonly arrival: readonly [bigint, number, bigint, number];
}

/** Searches the archive. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
export async function findTrace(
  store: ObjectStore,
  query: TraceQuery,
  options: CallOptions = {},
): Promise<TraceSearch> {
  const id = Buffer.from(query.traceId, 'hex');
  const toMs = Math.ceil(query.toMs / hourMs) * hourMs;
  const leastMs = Math.floor(query.fromMs / hourMs) * hourMs;
  const deliveries: Delivery[] = [];
  let [fileCount, filesRead, fromMs] = [0, 0, toMs];
  while (fromMs > leastMs) {
    const endMs = fromMs;
    fromMs = query.untilWhole ? Math.max(leastMs, dayStart(endMs - 1)) : leastMs;
    const { files } = await listPeriodFiles(store, signal, fromMs, endMs);
    const candidates = files.filter(
      (file) =>
        !(file.quarantined && query.withQuarantined === false) &&
        groupsThatMayHold(file, query.traceId).length > 0,
    );
    const found = await mapParallel(candidates, traceFilesAtOnce, (file) =>
      deliveriesIn(store, file, id, query, options),
    );
    deliveries.push(...found.flat());
    fileCount += files.length;
    filesRead += candidates.length;
    if (query.untilWhole && isWhole(deliveries)) break;
  }
  return { spans: judged(deliveries), fromMs, toMs, fileCount, filesRead };
}

function dayStart(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs;
}

/** Hexadecimal digits of one length sort as the bytes do. */
function groupsThatMayHold(file: PeriodFile, traceId: string): number[] {
  return [...file.rowGroups.entries()]
    .filter(([, { idMin, idMax }]) => idMin <= traceId && traceId <= idMax)
    .map(([index]) => index);
}

async function deliveriesIn(
  store: ObjectStore,
  file: PeriodFile,
  id: Uint8Array,
  query: TraceQuery,
  options: CallOptions,
): Promise<Delivery[]> {
  const opened = await ArchiveFile.open(readRange(store, options), file.key, file.bytes);
  try {
    const groups = await opened.read(groupsThatMayHold(file, query.traceId));
    return groups.flatMap((columns) => deliveriesOf(columns, id, query.tenantId));
  } finally {
    opened.close();
  }
}

function deliveriesOf(columns: RowColumns, id: Uint8Array, tenantId?: string): Delivery[] {
  const rows = rowsOf(columns, id);
  if (rows.length === 0) return [];
  const rebuilder = new Rebuilder(signal, columns);
  const shown = new TraceRows(columns);
  const tenants = columns.names('TenantId');
  const kinds = columns.names('SpanKind');
  const parents = columns.ids('ParentSpanId', 8);
  const [spanIds, ingested] = [columns.ids('SpanId', 8), columns.longs('IngestedAt')];
  const [partitions, offsets] = [columns.int32('Partition'), columns.longs('Offset')];
  const indexes = columns.uint32('ItemIndex');
  return rows
    .filter((row) => tenantId === undefined || tenants.text(row) === tenantId)
    .map((row) => ({
      tenantId: tenants.text(row),
      spanId: hexAt(spanIds.bytes, 8, row),
      parentSpanId: parents.isNull(row) ? '' : hexAt(parents.bytes, 8, row),
      identity: `${tenants.text(row)} ${hexAt(spanIds.bytes, 8, row)} ${kinds.text(row)}`,
      arrival: [
        ingested.values[row] ?? 0n,
        partitions.values[row] ?? 0,
        offsets.values[row] ?? 0n,
        indexes.values[row] ?? 0,
      ],
      request: rebuilder.request(Uint32Array.of(row)),
      row: () => shown.row(row),
    }));
}

/** The rows with this trace id, which lie together because rows ascend by it. */
function rowsOf(columns: RowColumns, id: Uint8Array): number[] {
  const { bytes } = columns.ids('TraceId', 16);
  let [low, high] = [0, columns.rows];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareAt(bytes, middle, id) < 0) low = middle + 1;
    else high = middle;
  }
  const rows: number[] = [];
  for (let row = low; row < columns.rows && compareAt(bytes, row, id) === 0; row += 1) {
    rows.push(row);
  }
  return rows;
}

function compareAt(ids: Uint8Array, row: number, id: Uint8Array): number {
  return Buffer.compare(ids.subarray(row * 16, (row + 1) * 16), id);
}

function hexAt(ids: Uint8Array, width: number, row: number): string {
  return Buffer.from(ids.subarray(row * width, (row + 1) * width)).toString('hex');
}

/** Whether there is a root and every span's parent: only skewed clocks could hide an older span. */
function isWhole(deliveries: readonly Delivery[]): boolean {
  const known = new Set(deliveries.map(({ tenantId, spanId }) => `${tenantId} ${spanId}`));
  return (
    deliveries.some(({ parentSpanId }) => parentSpanId === '') &&
    deliveries.every(
      ({ tenantId, parentSpanId }) =>
        parentSpanId === '' || known.has(`${tenantId} ${parentSpanId}`),
    )
  );
}

/** Deliveries in their order; of those of one span all but the first are duplicates. */
function judged(deliveries: readonly Delivery[]): ArchivedSpan[] {
  const seen = new Set<string>();
  return deliveries
    .toSorted((left, right) => compareArrivals(left.arrival, right.arrival))
    .map(({ tenantId, spanId, parentSpanId, request, row, identity }) => {
      const isDuplicate = seen.has(identity);
      seen.add(identity);
      return { tenantId, spanId, parentSpanId, isDuplicate, request, row };
    });
}

function compareArrivals(left: Delivery['arrival'], right: Delivery['arrival']): number {
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0;
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}
