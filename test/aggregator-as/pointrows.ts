/**
 * The rows of the metric tables that the reference's points make, as RowBinary and as the values
 * that ClickHouse shows. Types are those of the migrations; each cell is of one of a few forms.
 */
import { speedTables, tablesOf } from '../../schemas/tables.ts';
import { receipt } from './module.ts';
import { kinds } from './points.ts';
import type { ExpectedPoint, Value } from './points.ts';
import type { Attribute } from './reference.ts';

export type MetricTable = (typeof tablesOf.metrics)[number];

/** Bits of a double; the text of doubles is compared as numbers. */
interface Double {
  readonly bits: bigint;
}

type Scalar = string | bigint | Double | { readonly bytes: Buffer; readonly text: string };
export type Cell = Scalar | Cell[] | { readonly map: readonly Attribute[] };

const int32 = (value: number): Cell => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return { bytes, text: String(value | 0) };
};

const uint32 = (value: number): Cell => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return { bytes, text: String(value) };
};

const bool = (value: boolean): Cell => ({
  bytes: Buffer.from([value ? 1 : 0]),
  text: String(value),
});

/** The table of the point's kind. */
export function tableOf(point: ExpectedPoint): MetricTable {
  const table = tablesOf.metrics[kinds.indexOf(point.metric.kind)];
  if (!table) throw new Error(`no table for ${point.metric.kind}`);
  return table;
}

/** An int is the nearest double; a missing number is 0. */
function valueCell(value: Value | undefined): Cell {
  if (!value?.isInt) return { bits: value?.bits ?? 0n };
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Number(BigInt.asIntN(64, value.bits)));
  return { bits: view.getBigUint64(0) };
}

/** Cells in the order of the columns: 64-bit numbers as bigint, whatever their sign. */
export function cellsOf(point: ExpectedPoint, tenantId: string, receivedMs: number): Cell[] {
  const { resource, scope, metric, exemplars, quantiles } = point;
  const service = resource.attributes.find(({ key }) => key === 'service.name')?.value ?? '';
  const cells: Record<string, Cell> = {
    ResourceAttributes: { map: resource.attributes },
    ResourceSchemaUrl: resource.schemaUrl,
    ScopeName: scope.name,
    ScopeVersion: scope.version,
    ScopeAttributes: { map: scope.attributes },
    ScopeDroppedAttrCount: uint32(scope.dropped),
    ScopeSchemaUrl: scope.schemaUrl,
    ServiceName: service,
    MetricName: metric.name,
    MetricDescription: metric.description,
    MetricUnit: metric.unit,
    Attributes: { map: point.attributes },
    StartTimeUnix: BigInt.asIntN(64, point.startNs),
    TimeUnix: BigInt.asIntN(64, point.timeNs),
    Value: valueCell(point.value),
    Flags: uint32(point.flags),
    'Exemplars.FilteredAttributes': exemplars.map(({ attributes }) => ({ map: attributes })),
    'Exemplars.TimeUnix': exemplars.map(({ timeNs }) => BigInt.asIntN(64, timeNs)),
    'Exemplars.Value': exemplars.map(({ value }) => valueCell(value)),
    'Exemplars.SpanId': exemplars.map(({ spanId }) => spanId),
    'Exemplars.TraceId': exemplars.map(({ traceId }) => traceId),
    AggregationTemporality: int32(metric.temporality),
    IsMonotonic: bool(metric.isMonotonic),
    Count: point.count,
    Sum: { bits: point.sum ?? 0n },
    Min: { bits: point.min ?? 0n },
    Max: { bits: point.max ?? 0n },
    BucketCounts: point.bucketCounts,
    ExplicitBounds: point.explicitBounds.map((bits) => ({ bits })),
    Scale: int32(point.scale),
    ZeroCount: point.zeroCount,
    PositiveOffset: int32(point.positive?.offset ?? 0),
    PositiveBucketCounts: point.positive?.counts ?? [],
    NegativeOffset: int32(point.negative?.offset ?? 0),
    NegativeBucketCounts: point.negative?.counts ?? [],
    'ValueAtQuantiles.Quantile': quantiles.map(({ quantile }) => ({ bits: quantile })),
    'ValueAtQuantiles.Value': quantiles.map(({ value }) => ({ bits: value })),
    TenantId: tenantId,
    IngestedAt: BigInt(receivedMs),
  };
  return speedTables[tableOf(point)].map((name) => {
    const cell = cells[name];
    if (cell === undefined) throw new Error(`no cell for ${name}`);
    return cell;
  });
}

/** RowBinary of a row. */
export function encodeRow(cells: readonly Cell[]): Buffer {
  return Buffer.concat(cells.map(encode));
}

function encode(cell: Cell): Buffer {
  if (typeof cell === 'bigint') return int64(cell);
  if (typeof cell === 'string')
    return Buffer.concat([length(Buffer.byteLength(cell)), Buffer.from(cell)]);
  if (Array.isArray(cell)) return Buffer.concat([length(cell.length), ...cell.map(encode)]);
  if ('bits' in cell) return int64(cell.bits);
  if ('bytes' in cell) return cell.bytes;
  const entries = cell.map.flatMap(({ key, value }) => [encode(key), encode(value)]);
  return Buffer.concat([length(cell.map.length), ...entries]);
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

function length(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

/** The cell as the queries of metrictables.ts show it. */
export function shown(cell: Cell): unknown {
  if (typeof cell === 'bigint') return String(cell);
  if (typeof cell === 'string') return cell;
  if (Array.isArray(cell)) return cell.map(shown);
  // ClickHouse shows the bits of a double as an unsigned number.
  if ('bits' in cell) return String(cell.bits);
  if ('bytes' in cell) return cell.text;
  return cell.map.map(({ key, value }) => [key, value]);
}

/** The rows of a request's points by table, in order; tables without rows are left out. */
export function rowsOf(
  points: readonly ExpectedPoint[],
): { table: MetricTable; rows: Buffer; rowCount: number }[] {
  return tablesOf.metrics.flatMap((table) => {
    const own = points.filter((point) => !point.quarantined && tableOf(point) === table);
    const rows = own.map((point) =>
      encodeRow(cellsOf(point, receipt.tenantId, receipt.receivedMs)),
    );
    return own.length === 0 ? [] : [{ table, rows: Buffer.concat(rows), rowCount: own.length }];
  });
}
