/**
 * Finds the rows that repeat others, by the identities of DESIGN.md, decision 7, as the batch does: of
 * a span or a log record the first received stays, of a metric point the last. Memory is bounded: rows
 * are taken in parts by a hash of their identity, 8 bytes for each; whole identities are kept of those
 * whose hash is there twice. Exact, whatever the hashes.
 */
import type { Signal } from '../../schemas/archive.ts';
import { replayDedupFilesAtOnce, replayDedupRowsMax } from '../../schemas/limits/replay.ts';
import type { CallOptions, ObjectStore } from '../clients/store/objects.ts';
import { mapParallel } from '../clients/parallel.ts';
import { ArchiveFile } from '../clients/parquet/parquet.ts';
import { readRange } from '../clients/parquet/range.ts';
import type { Names, RowColumns } from '../clients/parquet/rows.ts';
import { rowsOf } from './plan.ts';
import type { ReplayFile, ReplayQuery } from './plan.ts';
import { selectColumns, selectRows } from './select.ts';

/** For each file with duplicates a bit for each row, the lowest first: 1 for those to leave out. */
export type Duplicates = ReadonlyMap<string, Uint8Array>;

/** What identities are made of, besides the tenant. */
const parts: Record<Signal, { names: string[]; ids: string[]; longs: string[]; counts: string[] }> =
  {
    traces: { names: ['SpanKind'], ids: ['TraceId', 'SpanId'], longs: [], counts: [] },
    logs: { names: [], ids: ['ContentHash'], longs: [], counts: ['ContentOccurrence'] },
    metrics: { names: [], ids: ['SeriesHash'], longs: ['StartTimeUnix', 'TimeUnix'], counts: [] },
  };

const idWidths: Readonly<Record<string, number>> = { SpanId: 8 };
const arrivalColumns = ['IngestedAt', 'Partition', 'Offset', 'ItemIndex'];

export interface DuplicateOptions extends CallOptions {
  readonly query: ReplayQuery;
  /** @default replayDedupRowsMax */
  readonly rowsMax?: number;
}

/** Looks among all rows of the files, which are of one signal, that the query asks for. */
export async function findDuplicates(
  store: ObjectStore,
  files: readonly ReplayFile[],
  options: DuplicateOptions,
): Promise<Duplicates> {
  const duplicates = new Map<string, Uint8Array>();
  const rows = files.reduce((sum, file) => sum + rowsOf(file), 0);
  const partCount = Math.max(1, Math.ceil(rows / (options.rowsMax ?? replayDedupRowsMax)));
  for (let part = 0; part < partCount; part += 1) {
    const hashes = new HashList();
    await eachRow(store, files, options, (row) => {
      if (partOf(row.hash, partCount) === part) hashes.add(row.hash);
    });
    const repeated = hashes.repeated();
    if (repeated.size === 0) continue;
    const kept = new Map<string, Arrival>();
    await eachRow(store, files, options, (row) => {
      if (repeated.has(row.hash)) keepBest(kept, duplicates, row);
    });
  }
  return duplicates;
}

/** Where a row lies, and when it arrived. */
interface Arrival {
  readonly file: ReplayFile;
  /** Index in the file. */
  readonly row: number;
  readonly order: readonly [bigint, number, bigint, number];
}

/** A row during `eachRow`; `identity` and `arrival` cost more than `hash`. */
interface SeenRow {
  readonly hash: number;
  identity(): string;
  arrival(): Arrival;
}

function keepBest(kept: Map<string, Arrival>, duplicates: Map<string, Uint8Array>, row: SeenRow) {
  const identity = row.identity();
  const arrival = row.arrival();
  const before = kept.get(identity);
  if (!before) {
    kept.set(identity, arrival);
    return;
  }
  const isEarlier = compare(arrival.order, before.order) < 0;
  const isBetter = arrival.file.signal === 'metrics' ? !isEarlier : isEarlier;
  if (isBetter) kept.set(identity, arrival);
  mark(duplicates, isBetter ? before : arrival);
}

function compare(left: Arrival['order'], right: Arrival['order']): number {
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0;
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}

function mark(duplicates: Map<string, Uint8Array>, { file, row }: Arrival): void {
  let bits = duplicates.get(file.key);
  if (!bits) {
    bits = new Uint8Array(Math.ceil(rowsOf(file) / 8));
    duplicates.set(file.key, bits);
  }
  bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
}

/** Calls `see` for each row that the query asks for; the row is valid during the call. */
async function eachRow(
  store: ObjectStore,
  files: readonly ReplayFile[],
  options: DuplicateOptions,
  see: (row: SeenRow) => void,
): Promise<void> {
  await mapParallel(files, replayDedupFilesAtOnce, async (file) => {
    options.signal?.throwIfAborted();
    const opened = await ArchiveFile.open(readRange(store, options), file.key, file.bytes);
    try {
      let first = 0;
      for (const [group, rows] of file.rowGroups.entries()) {
        const [columns] = await opened.read([group], columnsOf(file.signal));
        if (columns) seeRows(file, first, columns, options.query, see);
        first += rows;
      }
    } finally {
      opened.close();
    }
  });
}

function columnsOf(signal: Signal): string[] {
  const { names, ids, longs, counts } = parts[signal];
  const own = [...names, ...ids, ...longs, ...counts];
  return [...new Set([...own, ...arrivalColumns, ...selectColumns(signal)])];
}

function seeRows(
  file: ReplayFile,
  first: number,
  columns: RowColumns,
  query: ReplayQuery,
  see: (row: SeenRow) => void,
): void {
  const identities = new Identities(file.signal, columns);
  const [ingested, partitions] = [columns.longs('IngestedAt'), columns.int32('Partition')];
  const [offsets, indexes] = [columns.longs('Offset'), columns.uint32('ItemIndex')];
  for (const row of selectRows(file.signal, columns, query)) {
    see({
      hash: identities.hash(row),
      identity: () => identities.text(row),
      arrival: () => ({
        file,
        row: first + row,
        order: [
          ingested.values[row] ?? 0n,
          partitions.values[row] ?? 0,
          offsets.values[row] ?? 0n,
          indexes.values[row] ?? 0,
        ],
      }),
    });
  }
}

/** The identities of one row group's rows. */
class Identities {
  /** Columns as bytes, so many for each row. */
  readonly #fixed: { readonly bytes: Uint8Array; readonly width: number }[];
  readonly #names: Names[];
  /** Hashes of the names, by code. */
  readonly #nameHashes: Uint32Array[];

  constructor(signal: Signal, columns: RowColumns) {
    const { names, ids, longs, counts } = parts[signal];
    this.#fixed = [
      ...ids.map((name) => columns.ids(name, idWidths[name] ?? 16)),
      ...longs.map((name) => ({ bytes: bytesOf(columns.longs(name).values), width: 8 })),
      ...counts.map((name) => ({ bytes: bytesOf(columns.uint32(name).values), width: 4 })),
    ];
    this.#names = ['TenantId', ...names].map((name) => columns.names(name));
    this.#nameHashes = this.#names.map(hashesOf);
  }

  /** A whole number in [0, 2^53). */
  hash(row: number): number {
    let [low, high] = [0x811c9dc5, 0x9e3779b9];
    for (const [index, names] of this.#names.entries()) {
      const hash = this.#nameHashes[index]?.[names.code(row)] ?? 0;
      low = Math.imul(low ^ hash, 0x01000193);
      high = Math.imul(high ^ hash, 0x85ebca6b);
    }
    for (const { bytes, width } of this.#fixed) {
      for (let at = row * width; at < (row + 1) * width; at += 1) {
        low = Math.imul(low ^ (bytes[at] ?? 0), 0x01000193);
        high = Math.imul(high ^ (bytes[at] ?? 0) ^ (high >>> 15), 0x85ebca6b);
      }
    }
    low ^= low >>> 16;
    high ^= high >>> 13;
    return (high >>> 11) * 2 ** 32 + (low >>> 0);
  }

  /** Equal for rows of equal identity, and for no others. */
  text(row: number): string {
    const fixed = this.#fixed.map(({ bytes, width }) =>
      Buffer.from(bytes.buffer, bytes.byteOffset + row * width, width).toString('latin1'),
    );
    return [...fixed, ...this.#names.map((names) => names.text(row))].join('\u0000');
  }
}

function hashesOf(names: Names): Uint32Array {
  return Uint32Array.from({ length: names.count }, (_, code) => {
    let hash = 0x811c9dc5;
    for (const byte of Buffer.from(names.values.text(code))) {
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
    return hash >>> 0;
  });
}

function bytesOf(values: BigInt64Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function partOf(hash: number, partCount: number): number {
  return hash % partCount;
}

/** Hashes in the order in which they are added. */
class HashList {
  #hashes = new Float64Array(64 * 1024);
  #count = 0;

  add(hash: number): void {
    if (this.#count === this.#hashes.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.#count++] = hash;
  }

  /** Those that were added more than once; the list is empty afterwards. */
  repeated(): ReadonlySet<number> {
    const sorted = this.#hashes.subarray(0, this.#count).toSorted();
    this.#hashes = new Float64Array();
    const repeated = new Set<number>();
    for (let index = 1; index < sorted.length; index += 1) {
      const hash = sorted[index] ?? 0;
      if (hash === sorted[index - 1]) repeated.add(hash);
    }
    return repeated;
  }
}
