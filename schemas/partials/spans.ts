/**
 * The partial: one shard's result as one object. A header has, per group, the counts and a sparse
 * histogram; then come the durations, sorted, as one run of bytes for each group and bucket, whose
 * place follows from the header. Little-endian; the same groups always give the same bytes.
 *
 * Header: the preamble, 'TMKP'; u64 bytes of all hot runs; the names of tenants, services and kinds; the
 * groups, sorted by tenant, service, operation, kind. A name is its UTF-8 length and its UTF-8 bytes. A group is
 * the numbers of its tenant and service, its operation's name, the number of its kind, raw count, count, error
 * count, unique traces, conflicts, then u64 least, u64 greatest, u128 sum, bucket count, bytes of its hot runs
 * and of the others, and of the buckets, which are the step from the last one and count * 2 + hot each. What
 * has no width is a varint. See `stream.ts`; `buckets.ts` reads the buckets.
 *
 * Body: the hot runs of all groups in order, then the others. A duration is kept as its distance from
 * its bucket's least, in as few bytes as the bucket needs.
 */
import assert from 'node:assert/strict';
import { bucketBits, bucketOfWords } from './histogram.ts';
import { corruptPartial, Preamble, preambleBytes } from './preamble.ts';
import { varintBytes, VarintWriter, type VarintReader } from './varint.ts';

/** What a group is known by. */
export interface GroupNames {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly operationName: string;
  /** `Server`, `Client`, …, as the archive says it. */
  readonly spanKind: string;
}

/** What both sides know of a group. Durations in nanoseconds. */
export interface GroupTotals extends GroupNames {
  /** Rows before dedup. */
  readonly rawCount: number;
  /** Distinct spans. */
  readonly count: number;
  readonly errorCount: number;
  readonly uniqueTraces: number;
  /** Dropped copies that differed from the kept one. */
  readonly conflicts: number;
  /** Least, greatest and sum are 0 when `count` is. */
  readonly durationMinNs: bigint;
  readonly durationMaxNs: bigint;
  /** Below 2^128. */
  readonly durationSumNs: bigint;
}

export interface PartialGroup extends GroupTotals {
  /** All `count` of them, ascending. */
  readonly durations: BigUint64Array;
}

export interface PartialHeaderGroup extends GroupTotals {
  /** Buckets that are not empty. */
  readonly bucketsFilled: number;
  /** What the header says of them: a view. */
  readonly bucketBytes: Uint8Array;
  readonly hotBytes: number;
  readonly coldBytes: number;
  readonly hotStart: number;
  readonly coldStart: number;
}

/** Quantiles that are published, and therefore whose likely buckets lie together in a partial. */
export const publishedQuantiles: readonly number[] = [0.5, 0.95, 0.99];

/** How a partial of spans begins. */
export const spanPreamble = new Preamble('TMKP', 4);

/** A group takes at least thirteen varints and four words. */
export const groupBytesMin = 45;

/** Standard deviations around a shard's own quantile within which the merged one is expected. */
const hotDeviations = 4;

/** Bytes of one duration in the run of `bucket`. */
export function runWidth(bucket: number): number {
  return (bucketBits(bucket) + 7) >> 3;
}

/**
 * The partial of a shard. `quantiles` decide only which runs are hot. The groups' keys must be
 * distinct and their durations sorted; this host must be little-endian, as all that Node runs on.
 */
export function encodePartial(
  groups: Iterable<PartialGroup>,
  quantiles: readonly number[] = publishedQuantiles,
): Uint8Array {
  const sorted = [...groups].toSorted(compareKeys).map((group) => bucketGroup(group, quantiles));
  assertDistinct(sorted);
  const header = writeHeader(sorted);
  const sizes = sorted.map((group) => runBytes(group));
  const hotBytes = sizes.reduce((sum, size) => sum + size.hot, 0);
  const bodyBytes = sizes.reduce((sum, size) => sum + size.cold, hotBytes);
  const bytes = new Uint8Array(header.length + bodyBytes);
  bytes.set(header);
  finishHeader(bytes, header.length, { groups: sorted.length, hotBytes, bodyBytes });
  let hotAt = header.length;
  let coldAt = header.length + hotBytes;
  for (const group of sorted) ({ hotAt, coldAt } = writeRuns(bytes, group, hotAt, coldAt));
  return bytes;
}

/** Order of groups in a partial and in results: by tenant, service, operation, kind in UTF-16 units. */
export function compareKeys(a: GroupNames, b: GroupNames): number {
  return (
    compare(a.tenantId, b.tenantId) ||
    compare(a.serviceName, b.serviceName) ||
    compare(a.operationName, b.operationName) ||
    compare(a.spanKind, b.spanKind)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function assertDistinct(sorted: readonly BucketedGroup[]): void {
  for (const [i, { group }] of sorted.entries()) {
    const last = sorted[i - 1]?.group;
    assert(!last || compareKeys(last, group) !== 0, 'Two groups have the same key');
  }
}

interface BucketedGroup {
  readonly group: PartialGroup;
  readonly buckets: number[];
  readonly counts: number[];
  readonly hot: boolean[];
}

function bucketGroup(group: PartialGroup, quantiles: readonly number[]): BucketedGroup {
  const words = wordsOf(group.durations);
  const buckets: number[] = [];
  const counts: number[] = [];
  let last = -1;
  for (let i = 0; i < words.length; i += 2) {
    const bucket = bucketOfWords(words[i + 1] ?? 0, words[i] ?? 0);
    if (bucket === last) {
      counts[counts.length - 1] = (counts.at(-1) ?? 0) + 1;
    } else {
      buckets.push(bucket);
      counts.push(1);
      last = bucket;
    }
  }
  return { group, buckets, counts, hot: hotBuckets(counts, group.count, quantiles) };
}

/** Low and high words of the durations, in turn. */
function wordsOf(durations: BigUint64Array): Uint32Array {
  return new Uint32Array(durations.buffer, durations.byteOffset, durations.length * 2);
}

/** Which buckets hold ranks that the merged quantiles are likely to fall on. */
function hotBuckets(counts: readonly number[], total: number, quantiles: readonly number[]) {
  const bands = quantiles.map((quantile) => {
    const reach = hotDeviations * Math.sqrt(quantile * (1 - quantile) * total) + 1;
    const rank = quantile * (total - 1);
    return { from: rank - reach, to: rank + reach };
  });
  let first = 0;
  return counts.map((count) => {
    const from = first;
    first += count;
    return bands.some((band) => from <= band.to && band.from <= first);
  });
}

function runBytes({ buckets, counts, hot }: BucketedGroup): { hot: number; cold: number } {
  const size = { hot: 0, cold: 0 };
  for (const [i, bucket] of buckets.entries()) {
    size[hot[i] ? 'hot' : 'cold'] += (counts[i] ?? 0) * runWidth(bucket);
  }
  return size;
}

function writeRuns(bytes: Uint8Array, bucketed: BucketedGroup, hotAt: number, coldAt: number) {
  const words = wordsOf(bucketed.group.durations);
  let first = 0;
  for (const [i, bucket] of bucketed.buckets.entries()) {
    const next = first + (bucketed.counts[i] ?? 0);
    const run = words.subarray(first * 2, next * 2);
    if (bucketed.hot[i]) hotAt = writeRun(bytes, hotAt, run, bucket);
    else coldAt = writeRun(bytes, coldAt, run, bucket);
    first = next;
  }
  return { hotAt, coldAt };
}

/** A bucket's least has no bit below `bucketBits`, so the lower bits are the distance from it. */
function writeRun(bytes: Uint8Array, at: number, run: Uint32Array, bucket: number): number {
  const width = runWidth(bucket);
  const lastMask = 0xff >> (width * 8 - bucketBits(bucket));
  if (width === 0) return at;
  for (let i = 0; i < run.length; i += 2) {
    const low = run[i] ?? 0;
    const high = run[i + 1] ?? 0;
    for (let byte = 0; byte < width; byte++) {
      bytes[at + byte] = byte < 4 ? low >>> (byte * 8) : high >>> (byte * 8 - 32);
    }
    at += width;
    bytes[at - 1] = (bytes[at - 1] ?? 0) & lastMask;
  }
  return at;
}

/** The header with its preamble left blank. */
function writeHeader(groups: readonly BucketedGroup[]): Uint8Array {
  const { writer, names } = beginHeader(groups.map(({ group }) => group));
  for (const bucketed of groups) writeGroup(writer, bucketed, names);
  return writer.bytes();
}

/** Begins a header, its preamble left blank: numbers and writes the names that groups share. */
export function beginHeader(groups: readonly GroupNames[]) {
  const names = new Map<string, number>();
  for (const { tenantId, serviceName, spanKind } of groups) {
    for (const name of [tenantId, serviceName, spanKind]) {
      if (!names.has(name)) names.set(name, names.size);
    }
  }
  const writer = new VarintWriter(preambleBytes);
  writer.long(0n);
  writer.varint(names.size);
  for (const name of names.keys()) writer.name(name);
  return { writer, names };
}

/** Fills in what only the end of a header knows, once it stands at the start of `bytes`. */
export function finishHeader(
  bytes: Uint8Array,
  headerBytes: number,
  sizes: { readonly groups: number; readonly hotBytes: number; readonly bodyBytes: number },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setBigUint64(preambleBytes, BigInt(sizes.hotBytes), true);
  spanPreamble.write(bytes, headerBytes, sizes.groups, sizes.bodyBytes);
}

/** Writes what a header says of a group before its buckets. */
export function writeTotals(
  writer: VarintWriter,
  group: GroupTotals,
  names: Map<string, number>,
): void {
  writer.varint(names.get(group.tenantId) ?? 0);
  writer.varint(names.get(group.serviceName) ?? 0);
  writer.name(group.operationName);
  writer.varint(names.get(group.spanKind) ?? 0);
  writer.varint(group.rawCount);
  writer.varint(group.count);
  writer.varint(group.errorCount);
  writer.varint(group.uniqueTraces);
  writer.varint(group.conflicts);
  writer.long(group.durationMinNs);
  writer.long(group.durationMaxNs);
  writer.long(group.durationSumNs);
  writer.long(group.durationSumNs >> 64n);
}

/** Writes what a header says of a group's buckets and runs before the buckets themselves. */
export function writeSizes(
  writer: VarintWriter,
  sizes: { filled: number; hotBytes: number; coldBytes: number; bytes: number },
): void {
  writer.varint(sizes.filled);
  writer.varint(sizes.hotBytes);
  writer.varint(sizes.coldBytes);
  writer.varint(sizes.bytes);
}

function writeGroup(writer: VarintWriter, bucketed: BucketedGroup, names: Map<string, number>) {
  writeTotals(writer, bucketed.group, names);
  const { hot: hotBytes, cold: coldBytes } = runBytes(bucketed);
  const varints = bucketVarints(bucketed);
  const bytes = varints.reduce((sum, value) => sum + varintBytes(value), 0);
  writeSizes(writer, { filled: bucketed.buckets.length, hotBytes, coldBytes, bytes });
  for (const value of varints) writer.varint(value);
}

function bucketVarints({ buckets, counts, hot }: BucketedGroup): number[] {
  return buckets.flatMap((bucket, i) => {
    const step = bucket - (buckets[i - 1] ?? 0);
    return [step, (counts[i] ?? 0) * 2 + Number(hot[i] ?? false)];
  });
}

/** Goes through the groups of a header in their order. */
export class GroupCursor {
  readonly #names: readonly string[];
  readonly #bytes: { readonly cold: number; readonly end: number };
  #hotStart: number;
  #coldStart: number;
  #last: GroupNames | undefined;

  /** `reader` stands behind the preamble, which says these numbers; afterwards at the first group. */
  constructor(reader: VarintReader, sizes: { headerBytes: number; bodyBytes: number }) {
    const { headerBytes, bodyBytes } = sizes;
    const hotBytes = Number(reader.long());
    if (hotBytes > bodyBytes) reader.fail('its hot runs are longer than all');
    this.#names = Array.from({ length: reader.count(1) }, () => reader.name());
    this.#hotStart = headerBytes;
    this.#coldStart = headerBytes + hotBytes;
    this.#bytes = { cold: this.#coldStart, end: headerBytes + bodyBytes };
  }

  /** The next group. Throws CORRUPT_ARCHIVE, and stands where it stood then. */
  read(reader: VarintReader): PartialHeaderGroup {
    const group = readGroup(reader, this.#names, this.#hotStart, this.#coldStart);
    if (this.#last && compareKeys(this.#last, group) >= 0) reader.fail('groups are out of order');
    this.#last = group;
    this.#hotStart += group.hotBytes;
    this.#coldStart += group.coldBytes;
    return group;
  }

  /** Checks that all ends where it should, after the last group. Throws CORRUPT_ARCHIVE. */
  end(reader: VarintReader): void {
    if (reader.rest !== 0) reader.fail('bytes are left over');
    if (this.#hotStart === this.#bytes.cold && this.#coldStart === this.#bytes.end) return;
    throw corruptPartial('its runs have another length');
  }
}

function readGroup(
  reader: VarintReader,
  names: readonly string[],
  hotStart: number,
  coldStart: number,
): PartialHeaderGroup {
  const name = (): string => names[reader.varint()] ?? reader.fail('a name is missing');
  return {
    tenantId: name(),
    serviceName: name(),
    operationName: reader.name(),
    spanKind: name(),
    rawCount: reader.varint(),
    count: reader.varint(),
    errorCount: reader.varint(),
    uniqueTraces: reader.varint(),
    conflicts: reader.varint(),
    durationMinNs: reader.long(),
    durationMaxNs: reader.long(),
    durationSumNs: reader.long() | (reader.long() << 64n),
    bucketsFilled: reader.varint(),
    hotBytes: reader.varint(),
    coldBytes: reader.varint(),
    bucketBytes: reader.bytes(),
    hotStart,
    coldStart,
  };
}
