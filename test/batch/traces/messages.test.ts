import { describe, expect, it } from 'vitest';
import { Names } from '../../../batch/shard/names.ts';
import { mergeLimits } from '../../../batch/merge/ranges.ts';
import { Calls } from '../../../batch/traces/calls.ts';
import { joinMessages } from '../../../batch/traces/messages.ts';
import { memoryReader } from '../../../batch/traces/sections.ts';
import { messageBlockEnds } from '../../../schemas/limits/batch.ts';
import type { NamedEnd } from '../../../schemas/partials/messages.ts';
import { decodePartialHeader } from '../../../schemas/partials/buckets.ts';
import { encodeMessages } from '../../support/messages.ts';

const names = ['acme', 'shop', 'store', 'kafka/orders'];

function end(traceHigh: bigint, span: bigint, more: Partial<NamedEnd>): NamedEnd {
  const ids = { traceHigh, traceLow: 0n, span };
  const side = { tenant: 0, service: 1, peer: 3, peerKind: 2, isError: false, isOpen: true };
  return { ...ids, durationNs: span, ...side, ...more };
}

function partial(producers: NamedEnd[], links: NamedEnd[], consumers: NamedEnd[]): Uint8Array {
  return encodeMessages({ producers, links, consumers }, names);
}

function summary(partials: readonly Uint8Array[]): string[] {
  const groups = partials.flatMap((bytes) => decodePartialHeader(bytes).groups);
  return groups.map((group) => {
    const { serviceName, operationName, spanKind, count, errorCount } = group;
    return `${serviceName} → ${operationName} ${spanKind}: ${count}/${errorCount}`;
  });
}

describe('joinMessages()', () => {
  it('joins over blocks and partials, and says whose message has no other side', async () => {
    const count = messageBlockEnds + 10;
    const first = Array.from({ length: count }, (_, index) => end(1n, BigInt(index + 1), {}));
    const second = [end(9n, 1n, {}), end(9n, 2n, { isOpen: false })];
    const taker = end(0n, 5n, { service: 2 });
    const link = (traceHigh: bigint, span: bigint, consumer: number) =>
      end(traceHigh, span, { service: 2, peer: consumer, peerKind: 0, isError: true });
    // The first consumer finds both ends of a block, the second nothing; another tenant is no one's.
    const links = [link(1n, 1n, 0), link(1n, BigInt(count), 0), link(9n, 1n, 0), link(10n, 1n, 1)];
    const readers = [
      partial(second, links, [taker, taker]),
      partial(first, [{ ...link(9n, 2n, 0), tenant: 3 }], [taker]),
    ];
    const partials = await joinMessages(readers.map(memoryReader), mergeLimits);
    expect(summary(partials)).toEqual([
      'kafka/orders → store 5: 2/0',
      `shop → kafka/orders 3: ${count - 2}/0`,
      'shop → store 1: 3/3',
    ]);
  });

  it('gives nothing for nothing', async () => {
    expect(await joinMessages([], mergeLimits)).toEqual([]);
    expect(await joinMessages([memoryReader(partial([], [], []))], mergeLimits)).toEqual([]);
  });
});

/** A hundred calls, their durations descending, every fourth failed. */
function add(calls: Calls): Uint8Array[] {
  for (let call = 0n; call < 100n; call += 1n) {
    calls.add(1, 2, 1, { tenant: 0, durationNs: 100n - call, isError: call % 4n === 0n });
  }
  return calls.partials();
}

describe('Calls', () => {
  it('gives the same calls in one partial or in several', () => {
    const known = new Names('name', 10);
    for (const name of names) known.id(name);
    const [one] = add(new Calls(known, 1000)).map((bytes) => decodePartialHeader(bytes).groups);
    expect(one).toMatchObject([{ count: 100, errorCount: 25, durationSumNs: 5050n }]);
    const parts = add(new Calls(known, 30)).flatMap((bytes) => decodePartialHeader(bytes).groups);
    expect(parts.map(({ count }) => count)).toEqual([30, 30, 30, 10]);
    expect(parts.reduce((sum, { durationSumNs }) => sum + durationSumNs, 0n)).toBe(5050n);
  });
});
