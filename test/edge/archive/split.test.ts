/**
 * Requests are split and put side by side again: protobufjs, which knows the official protos, has
 * to find the same items under the same envelopes, and every piece within the limit.
 */
import { describe, expect, it } from 'vitest';
import { jsonToProtobuf } from '../../../edge/json.ts';
import { signalWires } from '../../../edge/signal.ts';
import { split } from '../../../edge/archive/split.ts';
import { repeatsField } from '../../../schemas/archive.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { FieldReader } from '../../../schemas/field.ts';
import { randomMessage, spell } from '../generate.ts';
import { decode } from '../proto.ts';
import type { Decoded } from '../proto.ts';
import { random } from '../random.ts';

/** Repeated fields from a request down to its items. */
const paths: Record<Signal, string[]> = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
};

const kinds = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'];

/** Every item with all that it stands under; an envelope without items is an item by itself. */
function itemsOf(signal: Signal, bytes: Uint8Array): string[] {
  const items: string[] = [];
  const descend = (message: Decoded, names: readonly string[], above: unknown[]): void => {
    const [name, ...below] = names;
    if (name === undefined) {
      items.push(...pointsOf(message).map((point) => textOf([...above, point])));
      return;
    }
    const { [name]: children = [], ...envelope } = message;
    const path = [...above, envelope];
    if ((children as Decoded[]).length === 0) items.push(textOf(path));
    for (const child of children as Decoded[]) descend(child, below, path);
  };
  descend(decode(signalWires[signal].request, plainOf(bytes)), paths[signal], []);
  return items;
}

/** A piece of logs without what it says of pieces before; see `repeats.test.ts` of the transcoder. */
function plainOf(bytes: Uint8Array): Uint8Array {
  const reader = new FieldReader();
  const isThere = reader.read(bytes, 0, bytes.length) && reader.number === repeatsField;
  return isThere ? bytes.subarray(reader.to) : bytes;
}

/** JSON with sorted names: the order of different fields in a message says nothing. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** The data points of a metric with its envelopes; any other item is its own. */
function pointsOf(item: Decoded): unknown[] {
  const kind = kinds.find((name) => name in item);
  if (kind === undefined) return [item];
  const { [kind]: data, ...envelope } = item;
  const { dataPoints = [], ...dataEnvelope } = data as { dataPoints?: unknown[] };
  if (dataPoints.length === 0) return [item];
  return dataPoints.map((point) => [envelope, kind, dataEnvelope, point]);
}

/** A random request: several messages in a row, which protobuf merges. */
function randomRequest(signal: Signal, next: () => number): Uint8Array {
  const { request } = signalWires[signal];
  return joined(
    Array.from({ length: 1 + Math.floor(next() * 4) }, () => {
      const json = spell(request, randomMessage(request, next), next);
      return jsonToProtobuf(request, new TextEncoder().encode(json), 1 << 24);
    }),
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A length-delimited field; number below 16. */
function field(number: number, ...contents: Uint8Array[]): Uint8Array {
  const body = joined(contents);
  const head = [(number << 3) | 2];
  let rest = body.length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  return joined([Uint8Array.from([...head, rest]), body]);
}

const text = (value: string) => new TextEncoder().encode(value);

/** A data point with one attribute: field 7 of NumberDataPoint, whose key is field 1. */
function pointOf(value: number): Uint8Array {
  return field(1, field(7, field(1, text(String(value).padStart(40, '0')))));
}

/** Splits, checks what holds of every split, and returns the pieces' bytes. */
function checked(signal: Signal, otlp: Uint8Array, bytesMax: number): Uint8Array[] {
  const pieces = split(signal, otlp, bytesMax);
  const bytes = pieces.map((piece) => piece.bytes());
  for (const [index, piece] of pieces.entries()) {
    expect(bytes[index]?.length).toBe(piece.byteLength);
    expect(piece.byteLength > bytesMax).toBe(piece.isOversized);
  }
  return bytes;
}

const seed = 20_261_122;

describe('split()', () => {
  it.each(['traces', 'metrics', 'logs'] as const)(
    `split() of random requests of %s keeps every item, its envelopes and the order (seed ${seed})`,
    (signal) => {
      const next = random(seed);
      let splits = 0;
      let oversized = 0;
      for (let round = 0; round < 100; round += 1) {
        const otlp = randomRequest(signal, next);
        const bytesMax = 30 + Math.floor(next() * next() * otlp.length);
        const bytes = checked(signal, otlp, bytesMax);
        const found = bytes.flatMap((piece) => itemsOf(signal, piece));
        const wanted = itemsOf(signal, otlp);
        expect(found.length, `items of round ${round}`).toBe(wanted.length);
        const other = found.findIndex((item, index) => item !== wanted[index]);
        expect(other, `the item of round ${round} that differs`).toBe(-1);
        // What they repeat is bounded: four times the request, and never more a piece than its half.
        expect(joined(bytes).length).toBeLessThan(4 * otlp.length + bytesMax);
        if (bytes.length > 1) splits += 1;
        oversized += bytes.filter((piece) => piece.length > bytesMax).length;
      }
      expect(splits).toBeGreaterThan(40);
      expect(oversized).toBeGreaterThan(0);
    },
  );

  it('split() fills its pieces', () => {
    const spans = Array.from({ length: 5000 }, (_, index) =>
      field(2, field(5, text(`span ${index}`))),
    );
    const otlp = field(1, field(1, text('')), field(2, field(3, text('schema')), ...spans));
    const bytesMax = 10_000;
    const pieces = checked('traces', otlp, bytesMax);
    for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeGreaterThan(bytesMax - 40);
    expect(pieces.flatMap((piece) => itemsOf('traces', piece))).toEqual(itemsOf('traces', otlp));
  });

  it('split() of a request within the limit is that request', () => {
    const otlp = field(1, field(2, field(2, field(5, text('span')))));
    const [piece, ...others] = split('traces', otlp, otlp.length);
    expect(others).toEqual([]);
    expect(piece?.bytes()).toBe(otlp);
    expect(piece?.isOversized).toBe(false);
  });

  it('split() takes an item out that is too large by itself, and goes on', () => {
    const span = (name: string) => field(2, field(5, text(name)));
    const scope = field(1, field(1, text('scope')));
    const resource = field(1, field(1, field(1, text('key'))));
    const of = (...spans: Uint8Array[]) => field(1, resource, field(2, scope, ...spans));
    const large = span('x'.repeat(2000));
    const otlp = of(span('a'), span('b'), large, span('c'));
    const pieces = split('traces', otlp, 1000);
    expect(pieces.map(({ isOversized }) => isOversized)).toEqual([false, true, false]);
    expect(pieces.map((piece) => piece.bytes())).toEqual([
      of(span('a'), span('b')),
      of(large),
      of(span('c')),
    ]);
  });

  it('split() divides the points of one metric and repeats its name, unit and temporality', () => {
    // Varint fields 2 and 3 of Sum: aggregation_temporality CUMULATIVE, is_monotonic.
    const kind = Uint8Array.of(0x10, 2, 0x18, 1);
    const metric = (...points: Uint8Array[]) =>
      field(2, field(1, text('requests')), field(7, kind, ...points), field(3, text('1')));
    const of = (...points: Uint8Array[]) => field(1, field(2, metric(...points)));
    const points = Array.from({ length: 40 }, (_, index) => pointOf(index));
    const pieces = checked('metrics', of(...points), 500);
    expect(pieces.length).toBeGreaterThan(3);
    for (const piece of pieces) {
      const [resource] = decode('ExportMetricsServiceRequest', piece)['resourceMetrics'] as never[];
      expect(resource).toMatchObject({
        scopeMetrics: [
          {
            metrics: [
              {
                name: 'requests',
                unit: '1',
                sum: { aggregationTemporality: 2, isMonotonic: true },
              },
            ],
          },
        ],
      });
    }
  });

  it('split() keeps unknown fields: those of envelopes in every piece, those of items once', () => {
    // Field 100, a varint; field 1000, a group that holds a string with a brace of its own kind.
    const unknown = Uint8Array.of(0xa0, 0x06, 1);
    const group = Uint8Array.of(0xc3, 0x3e, 0x0a, 1, 0xc4, 0xc4, 0x3e);
    const spans = Array.from({ length: 20 }, (_, index) =>
      field(2, Uint8Array.of(...unknown, index), field(5, text('x'.repeat(30)))),
    );
    const otlp = joined([unknown, field(1, group, field(2, unknown, group, ...spans))]);
    const pieces = split('traces', otlp, 200).map((piece) => piece.bytes());
    const envelope = (...mine: Uint8Array[]) =>
      joined([unknown, field(1, group, field(2, unknown, group, ...mine))]);
    const each = pieces.map((_, index) => spans.slice(4 * index, 4 * index + 4));
    expect(pieces.length).toBe(5);
    expect(pieces).toEqual(each.map((mine) => envelope(...mine)));
  });

  it('split() does not divide a metric of two kinds, where the last one counts', () => {
    const points = Array.from({ length: 9 }, () => field(1, field(7, text('x'.repeat(40)))));
    const metric = field(2, field(1, text('both')), field(5, ...points), field(7, ...points));
    const [piece, ...others] = split('metrics', field(1, field(2, metric)), 300);
    expect(others).toEqual([]);
    expect(piece?.isOversized).toBe(true);
  });

  it('split() does not multiply a large resource: what stands under it stays whole', () => {
    const resource = field(1, field(1, field(1, text('r'.repeat(600)))));
    const spans = Array.from({ length: 1000 }, () => field(2, field(5, text('span'))));
    const small = field(1, field(2, ...spans));
    const otlp = joined([field(1, resource, field(2, ...spans)), small]);
    const pieces = split('traces', otlp, 1000);
    expect(pieces[0]).toMatchObject({ isOversized: true });
    expect(pieces[0]?.bytes()).toEqual(otlp.subarray(0, otlp.length - small.length));
    expect(pieces.slice(1).every(({ isOversized }) => !isOversized)).toBe(true);
    expect(pieces.length).toBeGreaterThan(5);
  });

  it('split() never throws on bytes that are no message, and never loses one', () => {
    const next = random(seed);
    for (let round = 0; round < 150; round += 1) {
      const otlp = randomRequest('metrics', next);
      const at = Math.floor(next() * otlp.length);
      otlp[at] = Math.floor(next() * 256);
      const cut = next() < 0.5 ? otlp : otlp.subarray(0, at);
      if (cut.length === 0) continue;
      const bytesMax = 20 + Math.floor(next() * cut.length);
      expect(joined(checked('metrics', cut, bytesMax)).length).toBeGreaterThanOrEqual(cut.length);
    }
  });
});
