/** What both paths of the transcoder make of bytes that may not be OTLP, and of a bound on their memory. */
import { expect } from 'vitest';
import { ItemColumns, type Transcoder } from '../../aggregator-as/host.ts';
import { topics, type Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { seededRandom } from '../support/random.ts';
import { provenance, receipt } from './module.ts';

/** The accepted and rejected items of both paths, which agree, or the offset and words of their one fault. */
export function outcomeOf(
  signal: Signal,
  request: Uint8Array,
  transcoder: Transcoder,
  columns: ItemColumns,
): string {
  const rows = attempt(() => transcoder.toRowBinary(signal, request, receipt));
  columns.reset();
  const place = { ...provenance, topic: topics[signal] };
  expect(attempt(() => columns.add(request, place))).toBe(rows);
  for (const hour of columns.hours()) expect(hour.rows).toBeGreaterThan(0);
  return rows;
}

function attempt(read: () => { accepted: number; rejected: number }): string {
  try {
    const { accepted, rejected } = read();
    return `${accepted} ${rejected}`;
  } catch (error) {
    // Anything else, a RuntimeError above all, is a bug.
    if (!(error instanceof TidemarkError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

/** How columns of little memory are filled, and what they must hold then. */
export interface BoundedCase<Item> {
  readonly module: WebAssembly.Module;
  readonly signal: Signal;
  readonly seeds: number;
  readonly requests: number;
  /** Pages of memory: at least, and by how many they vary. */
  readonly pages: readonly [least: number, spread: number];
  /** A generator of requests. */
  readonly generator: (random: () => number) => { request: () => Uint8Array };
  readonly placedOf: (request: Uint8Array) => readonly Item[];
  readonly expectColumns: (columns: ItemColumns, placed: readonly Item[]) => void;
}

/** Fills columns past their bound, again and again. Returns how many requests were refused. */
export function fillBounded<Item>(wanted: BoundedCase<Item>): number {
  const { module, signal, pages } = wanted;
  let refused = 0;
  for (let seed = 1; seed <= wanted.seeds; seed += 1) {
    const random = seededRandom(seed * 31_337);
    const generator = wanted.generator(random);
    const pagesMax = pages[0] + Math.floor(random() * pages[1]);
    const columns = new ItemColumns(module, signal, { pagesMax });
    const placed: Item[] = [];
    for (let count = 0; count < wanted.requests; count += 1) {
      const request = generator.request();
      try {
        columns.add(request, { ...provenance, topic: topics[signal] });
        placed.push(...wanted.placedOf(request));
      } catch (error) {
        expect(error).toMatchObject({ code: 'CAPACITY' });
        refused += 1;
      }
      expect(columns.rowCount, `seed ${seed}`).toBe(placed.length);
    }
    try {
      wanted.expectColumns(columns, placed);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      expect(error.code).toBe('CAPACITY');
    }
  }
  return refused;
}
