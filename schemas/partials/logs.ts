/**
 * The partial of a shard of logs. A header has, per group, the counts; then come the hashes of each
 * group's distinct bodies, 16 bytes each, ascending: those of groups that other shards have too are
 * merged, so that distinct bodies are counted exactly. The same groups always give the same bytes.
 *
 * Header: the preamble, 'TMKL'; the names; the groups, sorted. A name is its UTF-8 length and its UTF-8
 * bytes. A group is the numbers of its names (tenant, service, severity text), severity number (its 32
 * bits), hour since 1970, raw count, count, u64 bytes of bodies, distinct bodies; varints but for that.
 * Body: the hashes of all groups in order.
 */
import { corruptPartial, Preamble, preambleBytes } from './preamble.ts';
import { VarintWriter, type VarintReader } from './varint.ts';

export interface LogGroupKey {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly severityNumber: number;
  readonly severityText: string;
  /** Start of the hour, UTC, ms since 1970. */
  readonly hourMs: number;
}

export interface LogPartialGroup extends LogGroupKey {
  /** Records before dedup. */
  readonly rawCount: number;
  /** Distinct records. */
  readonly count: number;
  /** Of the distinct records' bodies, below 2^64. */
  readonly bodyBytes: bigint;
  /** 16 bytes for each distinct body, ascending. */
  readonly bodyHashes: Uint8Array;
}

export interface LogHeaderGroup extends Omit<LogPartialGroup, 'bodyHashes'> {
  readonly uniqueBodies: number;
  /** Where in the partial its hashes begin. */
  readonly hashesStart: number;
}

/** How a partial of logs begins. */
export const logPreamble = new Preamble('TMKL', 1);

export const bodyHashBytes = 16;

const hourLengthMs = 3_600_000;
/** Eight varints and a word. */
const groupBytesMin = 16;

/** The partial of a shard, whose groups have distinct keys. */
export function encodeLogPartial(groups: Iterable<LogPartialGroup>): Uint8Array {
  const sorted = [...groups].toSorted(compareLogKeys);
  const header = writeHeader(sorted);
  const bodyBytes = sorted.reduce((sum, { bodyHashes }) => sum + bodyHashes.length, 0);
  const bytes = new Uint8Array(header.length + bodyBytes);
  bytes.set(header);
  logPreamble.write(bytes, header.length, sorted.length, bodyBytes);
  let at = header.length;
  for (const { bodyHashes } of sorted) {
    bytes.set(bodyHashes, at);
    at += bodyHashes.length;
  }
  return bytes;
}

/** Order of groups: by tenant, service, hour, severity number, severity text. */
export function compareLogKeys(a: LogGroupKey, b: LogGroupKey): number {
  return (
    compare(a.tenantId, b.tenantId) ||
    compare(a.serviceName, b.serviceName) ||
    a.hourMs - b.hourMs ||
    a.severityNumber - b.severityNumber ||
    compare(a.severityText, b.severityText)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function namesOf({ tenantId, serviceName, severityText }: LogGroupKey): string[] {
  return [tenantId, serviceName, severityText];
}

function writeHeader(groups: readonly LogPartialGroup[]): Uint8Array {
  const names = new Map<string, number>();
  for (const name of groups.flatMap(namesOf)) if (!names.has(name)) names.set(name, names.size);
  const writer = new VarintWriter(preambleBytes);
  writer.varint(names.size);
  for (const name of names.keys()) writer.name(name);
  for (const group of groups) {
    for (const name of namesOf(group)) writer.varint(names.get(name) ?? 0);
    writer.varint(group.severityNumber >>> 0);
    writer.varint(group.hourMs / hourLengthMs);
    writer.varint(group.rawCount);
    writer.varint(group.count);
    writer.long(group.bodyBytes);
    writer.varint(group.bodyHashes.length / bodyHashBytes);
  }
  return writer.bytes();
}

/**
 * The groups of a partial, from at least its header's bytes. Throws `TidemarkError` CORRUPT_ARCHIVE for
 * whatever `encodeLogPartial` could not have written.
 */
export function decodeLogHeader(bytes: Uint8Array): LogHeaderGroup[] {
  const { reader, headerBytes, entries, bodyBytes } = logPreamble.open(bytes, groupBytesMin);
  const names = Array.from({ length: reader.count(1) }, () => reader.name());
  let hashesStart = headerBytes;
  const groups = Array.from({ length: entries }, () => {
    const group = { ...readGroup(reader, names), hashesStart };
    hashesStart += group.uniqueBodies * bodyHashBytes;
    return group;
  });
  if (reader.rest !== 0) reader.fail('bytes are left over');
  if (hashesStart !== headerBytes + bodyBytes)
    throw corruptPartial('its hashes have another length');
  return groups;
}

function readGroup(
  reader: VarintReader,
  names: readonly string[],
): Omit<LogHeaderGroup, 'hashesStart'> {
  const name = (): string => names[reader.varint()] ?? reader.fail('a name is missing');
  const texts = { tenantId: name(), serviceName: name(), severityText: name() };
  const severityNumber = reader.varint() | 0;
  const hourMs = reader.varint() * hourLengthMs;
  const [rawCount, count] = [reader.varint(), reader.varint()];
  const bodyBytes = reader.long();
  const uniqueBodies = reader.varint();
  if (count > rawCount || uniqueBodies > count) reader.fail('a count is too high');
  return { ...texts, severityNumber, hourMs, rawCount, count, bodyBytes, uniqueBodies };
}
