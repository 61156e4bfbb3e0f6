/** Partials for tests: groups of durations split over shards by chance, and readers that count. */
import type { PartialReader } from '../../batch/merge/ranges.ts';
import { encodePartial, type PartialGroup } from '../../schemas/partials/spans.ts';
import { referenceGroups } from './kernel.ts';
import type { SpanRow } from './spans.ts';

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

/** The partial of these spans, by the plain reference of the kernel. */
export function referencePartial(rows: readonly SpanRow[], kindInIdentity = true): Uint8Array {
  const numbers = new Map<string, number>();
  const texts: string[] = [];
  const number = (text: string): number => {
    const known = numbers.get(text);
    if (known !== undefined) return known;
    numbers.set(text, texts.length);
    return texts.push(text) - 1;
  };
  // Numbers in the order of the texts: the choice between copies of one place goes by them.
  const all = rows.flatMap(({ tenant, service, operation, kind }) => [
    tenant,
    service,
    operation,
    kind,
  ]);
  for (const text of [...new Set(all)].toSorted((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  )) {
    number(text);
  }
  const groups = referenceGroups(
    rows.map((row) => ({
      traceId: BigInt(`0x${row.traceId}`),
      spanId: BigInt(`0x${row.spanId}`),
      kind: number(row.kind),
      tenant: number(row.tenant),
      service: number(row.service),
      operation: number(row.operation),
      error: Number(row.status === 'Error'),
      durationNs: row.durationNs,
      ingestedMs: BigInt(row.ingestedMs),
      partition: row.partition,
      offset: row.offset,
      itemIndex: row.itemIndex,
    })),
    kindInIdentity,
  );
  return encodePartial(
    groups.map((group) => ({
      ...group,
      tenantId: texts[group.tenant] ?? '',
      serviceName: texts[group.service] ?? '',
      operationName: texts[group.operation] ?? '',
      spanKind: texts[group.kind] ?? '',
      durations: BigUint64Array.from(group.durations),
    })),
  );
}
