/** From a record batch of spans to columns for the kernel. Copies nothing but codes. */
import type { ShardColumns } from '../../aggregator-as/kernel.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { shardNamesMax, shardOperationsMax } from '../../schemas/limits/batch.ts';
import { mapCodes } from '../codes.ts';
import { Names } from '../names.ts';
import type { RowSlice } from '../work.ts';

const traceIdBytes = 16;
const spanIdBytes = 8;

/** The columns of an archive file that the batch of spans needs, beside `TraceId`. */
export const spanColumns = [
  'SpanId',
  'SpanName',
  'SpanKind',
  'ServiceName',
  'Duration',
  'StatusCode',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];

/** Strings behind the codes; the index is the code. */
export interface SpanNames {
  readonly tenants: Names;
  readonly services: Names;
  readonly operations: Names;
  readonly kinds: Names;
}

export function spanNames(): SpanNames {
  return {
    tenants: new Names('tenant', shardNamesMax),
    services: new Names('service', shardNamesMax),
    operations: new Names('operation', shardOperationsMax),
    kinds: new Names('span kind', 256),
  };
}

/** Turns a batch's codes into the shard's. */
export class ColumnMap {
  readonly #names: SpanNames;
  // Reused for every batch: a batch has at most one row group's rows.
  readonly #tenants = new Uint32Array(rowGroupRows);
  readonly #services = new Uint32Array(rowGroupRows);
  readonly #operations = new Uint32Array(rowGroupRows);
  readonly #kinds = new Uint8Array(rowGroupRows);
  readonly #errors = new Uint8Array(rowGroupRows);

  constructor(names: SpanNames) {
    this.#names = names;
  }

  /** The rows as the kernel takes them: views, valid until the next call. */
  columns(slice: RowSlice): ShardColumns {
    const { arrow, from, to } = slice;
    const { tenants, services, operations, kinds } = this.#names;
    return {
      rows: to - from,
      traceIds: arrow
        .fixed('TraceId', traceIdBytes)
        .subarray(from * traceIdBytes, to * traceIdBytes),
      spanIds: arrow.fixed('SpanId', spanIdBytes).subarray(from * spanIdBytes, to * spanIdBytes),
      kinds: mapCodes(arrow, 'SpanKind', slice, this.#kinds, (kind) => kinds.id(kind)),
      tenants: mapCodes(arrow, 'TenantId', slice, this.#tenants, (name) => tenants.id(name)),
      services: mapCodes(arrow, 'ServiceName', slice, this.#services, (name) => services.id(name)),
      operations: mapCodes(arrow, 'SpanName', slice, this.#operations, (name) =>
        operations.id(name),
      ),
      errors: mapCodes(arrow, 'StatusCode', slice, this.#errors, (code) =>
        Number(code === 'Error'),
      ),
      durations: arrow.uint64('Duration').subarray(from, to),
      ingestedMs: arrow.int64('IngestedAt').subarray(from, to),
      partitions: arrow.int32('Partition').subarray(from, to),
      offsets: arrow.int64('Offset').subarray(from, to),
      itemIndexes: arrow.uint32('ItemIndex').subarray(from, to),
    };
  }
}
