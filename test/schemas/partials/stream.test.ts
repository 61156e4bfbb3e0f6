import { describe, expect, it } from 'vitest';
import { decodePartialHeader, withBuckets } from '../../../schemas/partials/buckets.ts';
import {
  encodePartial,
  spanPreamble,
  type PartialHeaderGroup,
} from '../../../schemas/partials/spans.ts';
import { GroupStream } from '../../../schemas/partials/stream.ts';
import { partialGroup } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 77;
const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

function partialOf(random: () => number): Uint8Array {
  return encodePartial(
    Array.from({ length: 30 }, (_, i) => {
      const durations = BigUint64Array.from({ length: i * 3 }, () =>
        BigInt(Math.floor(random() * 1e12)),
      );
      const group = partialGroup('ø'.repeat(i), durations);
      return { ...group, serviceName: `service ${i % 4}`, tenantId: i % 2 === 0 ? 'a' : 'b' };
    }),
  );
}

/** All groups, given pieces of these many bytes after the first. */
function streamed(bytes: Uint8Array, first: number, piece: number): PartialHeaderGroup[] {
  const stream = new GroupStream(bytes.subarray(0, first));
  const groups: PartialHeaderGroup[] = [];
  for (;;) {
    for (let group = stream.next(); group; group = stream.next()) groups.push(group);
    if (stream.isDone) return groups;
    const end = Math.min(stream.headerBytes, stream.given + piece);
    expect(end).toBeGreaterThan(stream.given);
    stream.push(bytes.slice(stream.given, end));
  }
}

describe('GroupStream', () => {
  it(`gives the groups of the whole header, however it is cut (seed ${seed})`, () => {
    const bytes = partialOf(seededRandom(seed));
    const { groups } = decodePartialHeader(bytes);
    const headerBytes = spanPreamble.headerBytes(bytes);
    for (const first of [32, 33, 100, headerBytes, bytes.length]) {
      for (const piece of [1, 1000, headerBytes]) {
        expect(streamed(bytes, first, piece).map(withBuckets)).toEqual(groups);
      }
    }
    expect(streamed(encodePartial([]), 32, 1)).toEqual([]);
  });

  it(`throws CORRUPT_ARCHIVE for any changed byte, by its end (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const bytes = partialOf(random).slice();
    const headerBytes = spanPreamble.headerBytes(bytes);
    for (let at = 0; at < headerBytes; at += at < 300 ? 1 : 61) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255));
      // What the preamble says of the length may lead past the end: whoever reads objects finds that.
      if (at >= 8 && at < 12) continue;
      expect(() => streamed(changed, 64, 300), `byte ${at}`).toThrow(corrupt);
    }
  });
});
