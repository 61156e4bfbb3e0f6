/**
 * Decodes a source's records into columns, in order, until a flush is full. What cannot be decoded
 * is set aside with the reason. Stores nothing.
 */
import type { ItemColumns, Tally } from '../aggregator-as/host.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { CallOptions } from './clients/objects.ts';
import type { Backlog, Source, SourceRecord } from './source.ts';

/** A request that cannot be archived, kept aside with the reason. */
export interface DeadRecord {
  readonly record: SourceRecord;
  readonly error: TidemarkError;
}

export interface Taken {
  /** Records that were read, from the backlog's first on, and the offset behind the last. */
  readonly count: number;
  readonly nextOffset: bigint;
  /** The last record's name; empty when nothing was taken. */
  readonly lastName: string;
  readonly dead: readonly DeadRecord[];
  /** Items refused by reason; `undecodable_request` counts whole requests. */
  readonly rejected: Readonly<Record<string, number>>;
  readonly rows: number;
  readonly bytes: number;
  readonly ingestedMaxMs: number;
}

export interface TakeOptions extends CallOptions {
  readonly source: Pick<Source, 'topic' | 'partitionNumber'>;
  readonly firstOffset: bigint;
  readonly rowsMax: number;
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
  /** Names of records that did not fit into memory on their own; they become dead letters. */
  readonly oversized: ReadonlySet<string>;
}

/**
 * Decodes the backlog in order into `columns` (which must be empty), until `rowsMax` rows are there
 * or no memory is left. Returns `undefined` when a record is gone: then another archiver has
 * committed it, and this flush cannot succeed. Throws OBJECT_STORE.
 */
export async function takeRecords(
  backlog: Backlog,
  columns: ItemColumns,
  options: TakeOptions,
): Promise<Taken | undefined> {
  const take = new Take(columns, options);
  for await (const record of backlog.records(options.firstOffset, options)) {
    if (!record) return undefined;
    if (!take.add(record)) break;
  }
  return take;
}

class Take implements Taken {
  readonly dead: DeadRecord[] = [];
  readonly rejected: Record<string, number> = {};
  count = 0;
  rows = 0;
  nextOffset: bigint;
  lastName = '';
  bytes = 0;
  ingestedMaxMs = 0;
  readonly #columns: ItemColumns;
  readonly #options: TakeOptions;

  constructor(columns: ItemColumns, options: TakeOptions) {
    this.#columns = columns;
    this.#options = options;
    this.nextOffset = options.firstOffset;
  }

  /** Adds one request. False when the flush is full without it. */
  add(record: SourceRecord): boolean {
    if (this.rows >= this.#options.rowsMax) return false;
    try {
      this.#count(this.#decode(record));
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      if (error.code === 'CAPACITY' && this.rows > 0) return false;
      if (error.code !== 'CAPACITY' && error.code !== 'BAD_OTLP') throw error;
      this.dead.push({ record, error });
      this.#reject('undecodable_request', 1);
    }
    this.count += 1;
    this.rows = this.#columns.rowCount;
    this.nextOffset = record.offset + 1n;
    this.lastName = record.name;
    this.bytes += record.request.byteLength;
    this.ingestedMaxMs = Math.max(this.ingestedMaxMs, record.receivedMs);
    return true;
  }

  #decode(record: SourceRecord): Tally {
    const { name, receivedMs, tenantId, request, offset } = record;
    const { source, pastMaxMs, futureMaxMs, oversized } = this.#options;
    if (tenantId === undefined) {
      throw new TidemarkError('BAD_OTLP', `Cannot archive "${name}": not the name of a request`);
    }
    if (oversized.has(name)) {
      throw new TidemarkError('CAPACITY', `Cannot archive "${name}": its columns need more memory`);
    }
    const place = { topic: source.topic, partition: source.partitionNumber, offset };
    return this.#columns.add(request, { tenantId, receivedMs, pastMaxMs, futureMaxMs, ...place });
  }

  #count(tally: Tally): void {
    for (const [reason, count] of Object.entries(tally.rejectedBy)) this.#reject(reason, count);
  }

  #reject(reason: string, count: number): void {
    if (count > 0) this.rejected[reason] = (this.rejected[reason] ?? 0) + count;
  }
}
