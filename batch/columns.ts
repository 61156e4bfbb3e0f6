/**
 * From a record batch of the archive to columns for the kernel: cuts them to the shard's trace ids
 * and replaces each file's dictionary codes by numbers that hold for the whole shard.
 */
import type { ShardColumns } from '../aggregator-as/kernel.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { rowGroupRows } from '../schemas/limits/archive.ts';
import { shardNamesMax, shardOperationsMax } from '../schemas/limits/batch.ts';
import { traceIdEnd, type ShardRange } from '../schemas/shard.ts';
import type { ArrowBatch } from './arrow.ts';
import { Names } from './names.ts';

const traceIdBytes = 16;
const spanIdBytes = 8;

/** Strings behind the codes that `readShard` hands out; the index is the code. */
export interface ShardNames {
  readonly tenants: Names;
  readonly services: Names;
  readonly operations: Names;
  readonly kinds: Names;
}

export function shardNames(): ShardNames {
  return {
    tenants: new Names('tenant', shardNamesMax),
    services: new Names('service', shardNamesMax),
    operations: new Names('operation', shardOperationsMax),
    kinds: new Names('span kind', 256),
  };
}

/** Turns a batch's codes into the shard's, and cuts it to the shard's trace ids. */
export class ColumnMap {
  readonly #names: ShardNames;
  readonly #from: Uint8Array | undefined;
  readonly #to: Uint8Array | undefined;
  // Reused for every batch: a batch has at most one row group's rows.
  readonly #tenants = new Uint32Array(rowGroupRows);
  readonly #services = new Uint32Array(rowGroupRows);
  readonly #operations = new Uint32Array(rowGroupRows);
  readonly #kinds = new Uint8Array(rowGroupRows);
  readonly #errors = new Uint8Array(rowGroupRows);

  constructor(range: Omit<ShardRange, 'files'>, names: ShardNames) {
    this.#names = names;
    this.#from = range.traceIdFrom === 0n ? undefined : traceIdOf(range.traceIdFrom);
    this.#to = range.traceIdTo === traceIdEnd ? undefined : traceIdOf(range.traceIdTo);
  }

  /** Trace ids of the batch's rows that are within the range. */
  traceIds(arrow: ArrowBatch): Uint8Array {
    const [from, to] = this.#rows(arrow);
    return arrow.fixed('TraceId', traceIdBytes).subarray(from * traceIdBytes, to * traceIdBytes);
  }

  /** Passes the batch's rows that are within the range on; returns how many. */
  forward(arrow: ArrowBatch, onColumns: (columns: ShardColumns) => void): number {
    const [from, to] = this.#rows(arrow);
    if (from >= to) return 0;
    const { tenants, services, operations, kinds } = this.#names;
    onColumns({
      rows: to - from,
      traceIds: arrow
        .fixed('TraceId', traceIdBytes)
        .subarray(from * traceIdBytes, to * traceIdBytes),
      spanIds: arrow.fixed('SpanId', spanIdBytes).subarray(from * spanIdBytes, to * spanIdBytes),
      kinds: mapCodes(arrow, 'SpanKind', from, to, this.#kinds, (kind) => kinds.id(kind)),
      tenants: mapCodes(arrow, 'TenantId', from, to, this.#tenants, (name) => tenants.id(name)),
      services: mapCodes(arrow, 'ServiceName', from, to, this.#services, (name) =>
        services.id(name),
      ),
      operations: mapCodes(arrow, 'SpanName', from, to, this.#operations, (name) =>
        operations.id(name),
      ),
      errors: mapCodes(arrow, 'StatusCode', from, to, this.#errors, (code) =>
        Number(code === 'Error'),
      ),
      durations: arrow.uint64('Duration').subarray(from, to),
      ingestedMs: arrow.int64('IngestedAt').subarray(from, to),
      partitions: arrow.int32('Partition').subarray(from, to),
      offsets: arrow.int64('Offset').subarray(from, to),
      itemIndexes: arrow.uint32('ItemIndex').subarray(from, to),
    });
    return to - from;
  }

  /** The batch's rows [from, to) are those within the range. */
  #rows(arrow: ArrowBatch): [from: number, to: number] {
    const traceIds = arrow.fixed('TraceId', traceIdBytes);
    assertSorted(traceIds);
    const from = this.#from === undefined ? 0 : lowerBound(traceIds, this.#from);
    const to = this.#to === undefined ? arrow.rows : lowerBound(traceIds, this.#to);
    return [from, Math.max(from, to)];
  }
}

/** Rows [from, to) of a dictionary column, each value replaced by `idOf(value)`. */
function mapCodes<T extends Uint8Array | Uint32Array>(
  arrow: ArrowBatch,
  column: string,
  from: number,
  to: number,
  target: T,
  idOf: (value: string) => number,
): T {
  const { codes, values } = arrow.dictionary(column);
  const ids = Uint32Array.from(values, idOf);
  for (let row = from; row < to; row += 1) target[row - from] = ids[codes[row] ?? 0] ?? 0;
  return target.subarray(0, to - from) as T;
}

function traceIdOf(traceId: bigint): Uint8Array {
  return Buffer.from(traceId.toString(16).padStart(2 * traceIdBytes, '0'), 'hex');
}

/** First row whose trace id is not less than `bound`, in sorted ids. */
function lowerBound(traceIds: Uint8Array, bound: Uint8Array): number {
  let low = 0;
  let high = traceIds.length / traceIdBytes;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = middle * traceIdBytes;
    if (Buffer.compare(traceIds.subarray(at, at + traceIdBytes), bound) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Pruning by range stands on this: an archive file's rows are sorted by trace id. */
function assertSorted(traceIds: Uint8Array): void {
  const words = new Uint32Array(traceIds.buffer, traceIds.byteOffset, traceIds.length / 4);
  for (let row = 4; row < words.length; row += 4) {
    for (let word = row; word < row + 4; word += 1) {
      const now = words[word] ?? 0;
      const before = words[word - 4] ?? 0;
      if (now === before) continue;
      if (bigEndian(now) > bigEndian(before)) break;
      throw new TidemarkError(
        'CORRUPT_ARCHIVE',
        `Cannot use row ${row / 4}: it is not in the order of trace ids`,
      );
    }
  }
}

/** The bytes of a word that a little-endian machine has read, first byte highest. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
