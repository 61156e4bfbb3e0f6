/**
 * One flush as a pure function: records in, Parquet files out. Decodes each record into columns and
 * encodes the columns of each event hour. Runs in the archiver's own thread or in one of its worker
 * threads (`thread.ts`) alike; reads no source and stores nothing.
 */
import type { HourBatch, ItemColumns, Tally } from '../../aggregator-as/host.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { PendingFile } from './commit.ts';
import { Counts, minuteOf } from './count.ts';
import type { Counted } from './count.ts';
import { encodeParquet } from '../parquet.ts';
import type { SourceRecord } from '../sources/source.ts';

/** What decoding needs of a record. */
export type RawRecord = Pick<
  SourceRecord,
  'offset' | 'receivedMs' | 'edgeMs' | 'tenantId' | 'request' | 'name' | 'fault'
>;

export interface AddOptions {
  readonly topic: string;
  /** In the `Partition` column. */
  readonly partitionNumber: number;
  readonly rowsMax: number;
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
  /** Names of records that did not fit into memory on their own; they become dead letters. */
  readonly oversized: ReadonlySet<string>;
}

export interface Added {
  /** Of the records given, how many were taken, from the first on; fewer when the flush is full. */
  readonly count: number;
  readonly full: boolean;
  /** Rows of the whole flush by now. */
  readonly rows: number;
  /** Records taken that cannot be archived, by their index among those given. */
  readonly dead: readonly { readonly index: number; readonly error: TidemarkError }[];
  /** Items refused by reason; `undecodable_request` counts whole requests. */
  readonly rejected: Readonly<Record<string, number>>;
  /** What became of the records taken, by tenant and minute. */
  readonly counts: readonly Counted[];
}

/** Where the time of a flush goes, in milliseconds. */
export interface StageTimes {
  decodeMs: number;
  sortMs: number;
  encodeMs: number;
}

/** One flush in the making. */
export interface FlushEncoder {
  readonly times: Readonly<StageTimes>;
  /**
   * Decodes records in order until the flush is full. Throws THREAD_ENDED: then the flush is void.
   */
  add(records: readonly RawRecord[], options: AddOptions): Promise<Added>;
  /**
   * The files of all hours, ascending, one at a time; each is encoded when it is asked for, in memory
   * of its own. Throws CAPACITY and THREAD_ENDED.
   */
  files(): AsyncIterable<PendingFile>;
}

/** Does it here and now, with these columns, which must be empty. `ticks` gives milliseconds. */
export class LocalEncoder implements FlushEncoder {
  readonly times: StageTimes = { decodeMs: 0, sortMs: 0, encodeMs: 0 };
  readonly #columns: ItemColumns;
  readonly #ticks: () => number;

  constructor(columns: ItemColumns, ticks: () => number) {
    this.#columns = columns;
    this.#ticks = ticks;
  }

  add(records: readonly RawRecord[], options: AddOptions): Promise<Added> {
    return Promise.resolve(this.addNow(records, options));
  }

  addNow(records: readonly RawRecord[], options: AddOptions): Added {
    const startedMs = this.#ticks();
    const adding = new Adding(this.#columns, options);
    const full = !records.every((record) => adding.add(record));
    this.times.decodeMs += this.#ticks() - startedMs;
    const { count, dead, rejected, counts } = adding;
    const rows = this.#columns.rowCount;
    return { count, full, dead, rejected, counts: counts.values(), rows };
  }

  // eslint-disable-next-line typescript/require-await -- one of two encoders, the other of which waits
  async *files(): AsyncGenerator<PendingFile, void, undefined> {
    yield* this.filesNow();
  }

  *filesNow(): Generator<PendingFile, void, undefined> {
    let at = this.#ticks();
    for (const batch of this.#columns.hours()) {
      const sortedAt = this.#ticks();
      const file = fileOf(batch);
      const encodedAt = this.#ticks();
      this.times.sortMs += sortedAt - at;
      this.times.encodeMs += encodedAt - sortedAt;
      yield file;
      at = this.#ticks();
    }
  }
}

/** Touches the batch's buffers no more once it is given. */
function fileOf(batch: HourBatch): PendingFile {
  const { rows, hourMs, quarantined, timeMinNs, timeMaxNs } = batch;
  return { rows, hourMs, quarantined, timeMinNs, timeMaxNs, ...encodeParquet(batch) };
}

class Adding {
  readonly dead: { index: number; error: TidemarkError }[] = [];
  readonly rejected: Record<string, number> = {};
  readonly counts = new Counts();
  count = 0;
  readonly #columns: ItemColumns;
  readonly #options: AddOptions;

  constructor(columns: ItemColumns, options: AddOptions) {
    this.#columns = columns;
    this.#options = options;
  }

  /** Adds one request. False when the flush is full without it. */
  add(record: RawRecord): boolean {
    const { rowCount } = this.#columns;
    if (rowCount >= this.#options.rowsMax) return false;
    try {
      this.#count(record, this.#decode(record));
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      if (error.code === 'CAPACITY' && rowCount > 0) return false;
      if (error.code !== 'CAPACITY' && error.code !== 'BAD_OTLP') throw error;
      this.dead.push({ index: this.count, error });
      this.#reject('undecodable_request', 1);
      this.#count(record, undefined);
    }
    this.count += 1;
    return true;
  }

  #decode(record: RawRecord): Tally {
    const { name, tenantId, request, offset, fault } = record;
    const { topic, partitionNumber, pastMaxMs, futureMaxMs, oversized } = this.#options;
    if (fault !== undefined) throw new TidemarkError('BAD_OTLP', fault);
    if (tenantId === undefined) {
      throw new TidemarkError('BAD_OTLP', `Cannot archive "${name}": not the name of a request`);
    }
    if (oversized.has(name)) {
      throw new TidemarkError('CAPACITY', `Cannot archive "${name}": its columns need more memory`);
    }
    const place = { topic, partition: partitionNumber, offset };
    // Where the edge received it, rows carry its time, as those of the speed layer do.
    const receivedMs = record.edgeMs ?? record.receivedMs;
    return this.#columns.add(request, { tenantId, receivedMs, pastMaxMs, futureMaxMs, ...place });
  }

  /** Without a tally the record was set aside. */
  #count({ tenantId = '', receivedMs, edgeMs }: RawRecord, tally: Tally | undefined): void {
    this.counts.add({
      isEdges: edgeMs !== undefined,
      tenantId,
      minute: minuteOf(edgeMs ?? receivedMs),
      records: 1,
      rows: tally?.accepted ?? 0,
      rejected: tally?.rejected ?? 0,
      dead: Number(tally === undefined),
    });
    for (const [reason, count] of Object.entries(tally?.rejectedBy ?? {})) {
      this.#reject(reason, count);
    }
  }

  #reject(reason: string, count: number): void {
    if (count > 0) this.rejected[reason] = (this.rejected[reason] ?? 0) + count;
  }
}
