/**
 * A log request that was split into pieces is archived as the whole would be: what `edge/archive/split.ts`
 * says of repeated lines, and what the transcoder makes of it.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { split } from '../../edge/archive/split.ts';
import { repeatsField } from '../../schemas/archive.ts';
import { seededRandom } from '../support/random.ts';
import { valuesOf } from './arrow.ts';
import { LogGenerator, logsRequest } from './logmaker.ts';
import { loadTranscoder, provenance } from './module.ts';
import { bytesField, fixed64Field, message, varint } from './wire.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
let columns: ItemColumns;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  columns = new ItemColumns(await loadTranscoder(), 'logs');
});

/** Content hash and occurrence of each record that is archived, sorted; `undefined` for none. */
function identitiesOf(requests: readonly Uint8Array[]): string[] | undefined {
  columns.reset();
  for (const [index, request] of requests.entries()) {
    try {
      columns.add(request, { ...provenance, offset: BigInt(index) });
    } catch {
      return undefined;
    }
  }
  const found: string[] = [];
  for (const hour of columns.hours()) {
    const [hashes = [], occurrences = []] = (['id16', 'uint32'] as const).map((type, index) =>
      valuesOf(type, hour.columns[index + 1] ?? { length: 0, nullCount: 0 }),
    );
    found.push(...hashes.map((hash, row) => `${String(hash)} ${String(occurrences[row])}`));
  }
  return found.toSorted();
}

function piecesOf(request: Uint8Array, bytesMax: number): Uint8Array[] {
  return split('logs', request, bytesMax).map((piece) => piece.bytes());
}

/** A record of its own time. */
function lineOf(i: number): Uint8Array {
  const time = fixed64Field(1, 1_700_000_000_000_000_000n + BigInt(i));
  return message(time, bytesField(5, bytesField(1, 'x')));
}

describe('split() of logs', () => {
  it('gives every line the identity that it has in the whole request, in any pieces', () => {
    const random = seededRandom(seed);
    let [splits, repeated] = [0, 0];
    for (let round = 0; round < 150; round += 1) {
      const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
        new LogGenerator(random).request(),
      );
      // Requests that repeat themselves, laid one after the other.
      const order = Array.from({ length: 6 }, () => parts[Math.floor(random() * parts.length)]);
      const request = message(...order.flatMap((part) => (part ? [part] : [])));
      const whole = identitiesOf([request]);
      const pieces = piecesOf(request, 40 + Math.floor(random() ** 2 * request.length));
      expect(identitiesOf(pieces), `round ${round}`).toEqual(whole);
      if (pieces.length === 1 || whole === undefined) continue;
      splits += 1;
      repeated += whole.filter((identity) => !identity.endsWith(' 0')).length;
    }
    expect(splits).toBeGreaterThan(80);
    expect(repeated).toBeGreaterThan(500);
  });

  it('spends nothing on lines that are all different, and a few bytes on those that are not', () => {
    const lines = Array.from({ length: 1000 }, (_, i) => lineOf(i));
    const key = varint(repeatsField * 8 + 2);
    for (const piece of piecesOf(logsRequest(...lines), 2000)) {
      expect([...piece.subarray(0, 4)]).toEqual([...key, 0]);
    }
    const equal = Array.from({ length: 1000 }, () => lineOf(0));
    const pieces = piecesOf(logsRequest(...equal), 2000);
    // The first line of a piece, of index 0, has so many before it.
    let before = 0;
    for (const piece of pieces) {
      const body = before === 0 ? [] : [0, ...varint(before)];
      expect([...piece.subarray(0, 4 + body.length)]).toEqual([...key, body.length, ...body]);
      before += identitiesOf([piece])?.length ?? 0;
    }
    expect(before).toBe(1000);
  });

  it('sends a piece the other way that its own repeats make too large', () => {
    const lines = Array.from({ length: 60 }, (_, i) => bytesField(5, bytesField(1, String(i))));
    const request = message(logsRequest(...lines), logsRequest(...lines));
    const pieces = split('logs', request, logsRequest(...lines).length + 10);
    expect(pieces.map(({ isOversized }) => isOversized)).toEqual([false, true]);
    expect(identitiesOf(pieces.map((piece) => piece.bytes()))).toEqual(identitiesOf([request]));
  });
});

describe('ItemColumns.add() of a piece', () => {
  it('takes what is not well formed for nothing said, and the lines as they are', () => {
    const lines = ['a', 'b', 'a'].map((text) => bytesField(5, bytesField(1, text)));
    const request = logsRequest(...lines);
    const plain = identitiesOf([request]);
    const of = (...body: number[]) =>
      identitiesOf([message(bytesField(repeatsField, Uint8Array.from(body)), request)]);
    // Nothing; half a pair; a number that does not end; an index that never comes; one out of order.
    for (const body of [[], [0], [0, 0x80], [9, 7], [0xff, 0xff, 0xff, 0xff, 0xff, 1, 1]]) {
      expect(of(...body)).toEqual(plain);
    }
    expect(of(1, 5, 0, 5)).toEqual(of(1, 5));
    expect(of(0, 5, 1, 200, 1)).not.toEqual(plain);
    // Behind the first line it says nothing.
    const late = message(request, bytesField(repeatsField, Uint8Array.of(0, 5)));
    expect(identitiesOf([late])).toEqual(plain);
    // A length that passes the end is a fault, as anywhere.
    const cut = message(Uint8Array.from([...varint(repeatsField * 8 + 2), 100]), request);
    expect(identitiesOf([cut])).toBeUndefined();
  });

  it('reads no further than the request that it is in', () => {
    const piece = message(bytesField(repeatsField, Uint8Array.of(0, 5)));
    for (let end = 0; end <= piece.length; end += 1) {
      const found = identitiesOf([piece.subarray(0, end)]);
      expect(found === undefined || found.length === 0).toBe(true);
    }
  });
});
