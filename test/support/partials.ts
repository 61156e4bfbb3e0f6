/** Partials for tests: groups of durations split over shards by chance, and readers that count. */
import type { PartialReader } from '../../batch/ranges.ts';
import { encodePartial, type PartialGroup } from '../../schemas/partial.ts';

/** A group whose durations are these, with counts that follow from their number. */
export function partialGroup(operationName: string, durations: BigUint64Array): PartialGroup {
  const sorted = durations.toSorted();
  return {
    tenantId: 'shop',
    serviceName: 'cart',
    operationName,
    spanKind: 'Server',
    rawCount: sorted.length + 2,
    count: sorted.length,
    errorCount: Math.floor(sorted.length / 10),
    uniqueTraces: Math.ceil(sorted.length / 2),
    conflicts: 1,
    durationMinNs: sorted[0] ?? 0n,
    durationMaxNs: sorted.at(-1) ?? 0n,
    durationSumNs: sorted.reduce((sum, duration) => sum + duration, 0n),
    durations: sorted,
  };
}

/** The groups' durations dealt out to `shards` partials at random; a group may miss in some. */
export function dealPartials(
  groups: readonly BigUint64Array[],
  shards: number,
  random: () => number,
): Uint8Array[] {
  const parts = Array.from({ length: shards }, () => groups.map((): bigint[] => []));
  for (const [group, values] of groups.entries()) {
    for (const value of values) parts[Math.floor(random() * shards)]?.[group]?.push(value);
  }
  return parts.map((ofShard) =>
    encodePartial(
      ofShard
        .map((values, group) => partialGroup(operationNameOf(group), BigUint64Array.from(values)))
        .filter(({ count }) => count > 0),
    ),
  );
}

/** Names whose order is that of the numbers. */
export function operationNameOf(group: number): string {
  return `GET /${String(group).padStart(6, '0')}`;
}

/** Readers of these objects, and what was read through all of them. */
export function countingReaders(objects: readonly Uint8Array[]) {
  const cost = { requests: 0, bytes: 0, inFlight: 0, inFlightMax: 0, requestBytesMax: 0 };
  const readers = objects.map((object): PartialReader => ({
    byteLength: object.length,
    async read(start, end) {
      cost.inFlightMax = Math.max(cost.inFlightMax, ++cost.inFlight);
      await Promise.resolve();
      cost.inFlight--;
      const bytes = object.slice(start, end);
      cost.requests++;
      cost.bytes += bytes.length;
      cost.requestBytesMax = Math.max(cost.requestBytesMax, bytes.length);
      return bytes;
    },
  }));
  return { readers, cost };
}
