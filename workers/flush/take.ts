/**
 * Hands a source's records to the encoder of a flush, in order, until it is full. What cannot be
 * decoded is set aside with the reason. Decodes and stores nothing itself.
 */
import type { TidemarkError } from '../../schemas/errors.ts';
import { commitCountsMax, takeBytesMax, takeRecordsMax } from '../../schemas/limits/archive.ts';
import type { CommitCount } from '../../schemas/commit.ts';
import type { CallOptions } from '../clients/store/objects.ts';
import { commitCounts, Counts } from './count.ts';
import type { Added, AddOptions, FlushEncoder } from './encode.ts';
import type { Backlog, SourceRecord } from '../sources/source.ts';

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
  /** What became of the records, by tenant and minute. */
  readonly counts: readonly CommitCount[];
  readonly rows: number;
  readonly bytes: number;
  readonly ingestedMaxMs: number;
}

export interface TakeOptions extends CallOptions, AddOptions {
  readonly firstOffset: bigint;
}

/**
 * Gives the backlog in order to `encoder` (which must be empty), until `rowsMax` rows are there or
 * no memory is left. Returns `undefined` when a record is gone: then another archiver has committed
 * it, and this flush cannot succeed. Throws OBJECT_STORE and what the encoder throws.
 */
export async function takeRecords(
  backlog: Backlog,
  encoder: Pick<FlushEncoder, 'add'>,
  options: TakeOptions,
): Promise<Taken | undefined> {
  const take = new Take(options.firstOffset);
  let [group, bytes]: [SourceRecord[], number] = [[], 0];
  for await (const record of backlog.records(options.firstOffset, options)) {
    if (!record) return undefined;
    group.push(record);
    bytes += record.request.byteLength;
    if (bytes < takeBytesMax && group.length < takeRecordsMax) continue;
    if (take.count(group, await encoder.add(group, options))) return take.end();
    [group, bytes] = [[], 0];
  }
  if (group.length > 0) take.count(group, await encoder.add(group, options));
  return take.end();
}

class Take {
  readonly taken: { -readonly [K in keyof Taken]: Taken[K] };
  readonly #counts = new Counts();
  readonly #dead: DeadRecord[] = [];
  readonly #rejected: Record<string, number> = {};

  constructor(nextOffset: bigint) {
    const none = { count: 0, lastName: '', counts: [], rows: 0, bytes: 0, ingestedMaxMs: 0 };
    this.taken = { ...none, nextOffset, dead: this.#dead, rejected: this.#rejected };
  }

  end(): Taken {
    return { ...this.taken, counts: commitCounts(this.#counts.values()) };
  }

  /** Counts what was added of these records. True when the flush is full. */
  count(records: readonly SourceRecord[], added: Added): boolean {
    const { taken } = this;
    for (const record of records.slice(0, added.count)) {
      taken.count += 1;
      taken.nextOffset = record.offset + 1n;
      taken.lastName = record.name;
      taken.bytes += record.request.byteLength;
      taken.ingestedMaxMs = Math.max(taken.ingestedMaxMs, record.receivedMs);
    }
    taken.rows = added.rows;
    for (const { index, error } of added.dead) {
      const record = records[index];
      if (record) this.#dead.push({ record, error });
    }
    for (const [reason, count] of Object.entries(added.rejected)) {
      this.#rejected[reason] = (this.#rejected[reason] ?? 0) + count;
    }
    for (const counted of added.counts) this.#counts.add(counted);
    return added.full || this.#counts.size >= commitCountsMax;
  }
}
