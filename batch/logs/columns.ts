/** From a record batch of log records to columns for the kernel. Copies nothing but codes. */
import type { LogColumns } from '../../aggregator-as/logkernel.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { shardBucketsMax, shardNamesMax } from '../../schemas/limits/batch.ts';
import { mapCodes } from '../shard/codes.ts';
import { Names } from '../shard/names.ts';
import type { RowSlice } from '../work.ts';

const hashBytes = 16;

/** The columns of an archive file that the batch of logs needs, beside `SortKey`. */
export const logColumns = [
  'ContentHash',
  'ContentOccurrence',
  'SeverityText',
  'SeverityNumber',
  'ServiceName',
  'Body',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];

/** What records of a service are told apart by. */
export interface Bucket {
  readonly severityNumber: number;
  readonly severityText: string;
  readonly hourMs: number;
}

/** What stands behind the codes; the index is the code. */
export class LogNames {
  readonly tenants = new Names('tenant', shardNamesMax);
  readonly services = new Names('service', shardNamesMax);
  readonly #buckets = new Names('severity', shardBucketsMax);

  bucket({ severityNumber, severityText, hourMs }: Bucket): number {
    return this.#buckets.id(`${severityNumber} ${hourMs} ${severityText}`);
  }

  buckets(): Bucket[] {
    return this.#buckets.values().map((text) => {
      const [number = '', hour = '', ...words] = text.split(' ');
      return {
        severityNumber: Number(number),
        severityText: words.join(' '),
        hourMs: Number(hour),
      };
    });
  }
}

/** OTLP's severity numbers end at 24; those below this are looked up in a table. */
const usualNumbers = 32;

/** Turns a batch's codes into the shard's. */
export class LogColumnMap {
  readonly #names: LogNames;
  // Reused for every batch: a batch has at most one row group's rows.
  readonly #tenants = new Uint32Array(rowGroupRows);
  readonly #services = new Uint32Array(rowGroupRows);
  readonly #buckets = new Uint32Array(rowGroupRows);

  constructor(names: LogNames) {
    this.#names = names;
  }

  /** The rows as the kernel takes them: views, valid until the next call. */
  columns(slice: RowSlice): LogColumns {
    const { arrow, from, to } = slice;
    const { tenants, services } = this.#names;
    const body = arrow.utf8('Body');
    return {
      rows: to - from,
      contentHashes: arrow
        .fixed('ContentHash', hashBytes)
        .subarray(from * hashBytes, to * hashBytes),
      occurrences: arrow.uint32('ContentOccurrence').subarray(from, to),
      tenants: mapCodes(arrow, 'TenantId', slice, this.#tenants, (name) => tenants.id(name)),
      services: mapCodes(arrow, 'ServiceName', slice, this.#services, (name) => services.id(name)),
      buckets: this.#bucketsOf(slice),
      ingestedMs: arrow.int64('IngestedAt').subarray(from, to),
      partitions: arrow.int32('Partition').subarray(from, to),
      offsets: arrow.int64('Offset').subarray(from, to),
      itemIndexes: arrow.uint32('ItemIndex').subarray(from, to),
      bodyOffsets: body.offsets.subarray(from, to + 1),
      bodies: body.bytes,
    };
  }

  /** A severity is looked up once for a batch, whose rows are all of one hour. */
  #bucketsOf({ arrow, from, to, hourMs }: RowSlice): Uint32Array {
    const numbers = arrow.int32('SeverityNumber');
    const { codes, values } = arrow.dictionary('SeverityText');
    const known = new Int32Array(values.length * usualNumbers).fill(-1);
    for (let row = from; row < to; row += 1) {
      const severityNumber = numbers[row] ?? 0;
      const code = codes[row] ?? 0;
      const isUsual = severityNumber >= 0 && severityNumber < usualNumbers;
      const place = code * usualNumbers + severityNumber;
      let bucket = isUsual ? (known[place] ?? -1) : -1;
      if (bucket < 0) {
        const severityText = values[code] ?? '';
        bucket = this.#names.bucket({ severityNumber, severityText, hourMs });
        if (isUsual) known[place] = bucket;
      }
      this.#buckets[row - from] = bucket;
    }
    return this.#buckets.subarray(0, to - from);
  }
}
