/**
 * Finds how large an inflated body an endpoint takes, by asking. The bodies hold one valid item and
 * padding that readers must skip, so that they compress to little and store nothing large.
 */
import { mediaTypes, pathOf, valid } from './payload.ts';
import type { Limit, Send, Signal, Target } from './row.ts';
import { join, rawVarint } from './wire.ts';

const mib = 1 << 20;

/** OTLP 1.11, "OTLP/HTTP Request": the limit that is recommended. */
export const recommendedBytes = 64 * mib;

/** Nobody needs a request of this size: who takes it has no limit. */
export const absurdBytes = 4 * recommendedBytes;

/** Sizes that people choose for limits: the search tries these first. */
const usualBytes = [1, 2, 4, 5, 6, 8, 10, 12, 16, 20, 24, 25, 30, 32, 40, 48, 50, 64, 100, 128]
  .flatMap((count) => [count * 1_000_000, count * mib])
  .concat(64_000, 100_000, 128 << 10, 256 << 10, 512 << 10, absurdBytes)
  .toSorted((a, b) => a - b);

/** The padding's field: a number that no OTLP message has, with a length-delimited value. */
const paddingKey = rawVarint(4000 * 8 + 2);

/** A gzip request whose inflated body is a valid request of exactly `size` bytes. */
export function sized(target: Target, signal: Signal, size: number): Send {
  return {
    path: pathOf(signal),
    headers: { 'content-type': mediaTypes.protobuf, 'content-encoding': 'gzip' },
    body: target.gzip(padded(target, signal, size)),
  };
}

function padded(target: Target, signal: Signal, size: number): Uint8Array {
  const item = valid(target, signal, 'protobuf');
  // The length takes 4 bytes for all sizes from 2 MiB to 256 MiB and is written longer below that.
  const length = size - item.length - paddingKey.length - 4;
  const bytes = new Uint8Array(size);
  bytes.set(join(item, paddingKey, longVarint(length)));
  return bytes;
}

/** A varint of four bytes, of which the last may be zero: readers must take it. */
function longVarint(value: number): Uint8Array {
  return Uint8Array.from(
    [0, 7, 14, 21],
    (shift) => ((value >> shift) & 127) | (shift < 21 ? 128 : 0),
  );
}

/** The largest body that the endpoint takes, found once for all rows that ask. */
export function findLimit(target: Target, signal: Signal): Promise<Limit> {
  const known = target.limits.get(signal) ?? search(target, signal);
  target.limits.set(signal, known);
  return known;
}

/** A binary search over the usual sizes and their successors, then over all that is between. */
async function search(target: Target, signal: Signal): Promise<Limit> {
  const first = await target.send(sized(target, signal, recommendedBytes + 1));
  const highest = first.status === 200 ? absurdBytes : recommendedBytes + 1;
  const sizes = usualBytes.filter((size) => size < highest).flatMap((size) => [size, size + 1]);
  const known: Limit =
    first.status === 200
      ? { takenBytes: recommendedBytes + 1, ...(await absurd(target, signal)) }
      : { takenBytes: 0, refused: { bytes: highest, answer: first } };
  const near = await narrow(target, signal, known, ({ takenBytes }, bytes) => {
    const between = sizes.filter((size) => size > takenBytes && size < bytes);
    return between[between.length >> 1];
  });
  return narrow(target, signal, near, ({ takenBytes }, bytes) =>
    bytes - takenBytes > 1 ? takenBytes + ((bytes - takenBytes) >> 1) : undefined,
  );
}

async function absurd(target: Target, signal: Signal): Promise<Pick<Limit, 'refused'>> {
  const answer = await target.send(sized(target, signal, absurdBytes));
  return answer.status === 200 ? {} : { refused: { bytes: absurdBytes, answer } };
}

/** Tries the sizes that `next` names until it names none, or none can be refused. */
async function narrow(
  target: Target,
  signal: Signal,
  start: Limit,
  next: (limit: Limit, refusedBytes: number) => number | undefined,
): Promise<Limit> {
  let limit = start;
  for (;;) {
    const { refused } = limit;
    const size = refused && next(limit, refused.bytes);
    // Below this, it is not the size that is refused.
    if (size === undefined || (refused && refused.bytes < 1024)) return limit;
    const answer = await target.send(sized(target, signal, size));
    limit =
      answer.status === 200
        ? { ...limit, takenBytes: size }
        : { ...limit, refused: { bytes: size, answer } };
  }
}
