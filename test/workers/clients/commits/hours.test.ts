/** Walking the archive by the hour: two listings side by side. */
import { describe, expect, it } from 'vitest';
import { hourPrefix } from '../../../../schemas/archive.ts';
import { replacementKey } from '../../../../schemas/replacement.ts';
import { readHours } from '../../../../workers/clients/commits/hours.ts';
import type { HoursOptions } from '../../../../workers/clients/commits/hours.ts';
import { FaultyStore } from '../../../support/faults.ts';

const hour = 3_600_000;
const hourMs = Date.UTC(2026, 11, 31, 22);

function storeOf(keys: readonly string[]): FaultyStore {
  return new FaultyStore(new Map(keys.map((key) => [key, new Uint8Array()])));
}

async function hoursOf(store: FaultyStore, options: HoursOptions = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const { hourMs: ms, files, replacements } of readHours(store, 'traces', options)) {
    const own = new Date(ms).toISOString().slice(0, 13);
    found.push(`${own}: ${files.length} files, ${replacements.length} replacements`);
  }
  return found;
}

describe('readHours()', () => {
  it('gives each hour that has files with its replacements, across a new year', async () => {
    const store = storeOf([
      `${hourPrefix('traces', hourMs)}a.parquet`,
      `${hourPrefix('traces', hourMs)}b.parquet`,
      `${hourPrefix('traces', hourMs + 3 * hour)}c.parquet`,
      `${hourPrefix('logs', hourMs)}d.parquet`,
      replacementKey('traces', hourMs, 1),
      // Of an hour whose files are all gone.
      replacementKey('traces', hourMs + hour, 1),
      replacementKey('traces', hourMs + 3 * hour, 1),
      replacementKey('traces', hourMs + 3 * hour, 2),
      replacementKey('traces', hourMs + 4 * hour, 1),
    ]);
    expect(await hoursOf(store)).toEqual([
      '2026-12-31T22: 2 files, 1 replacements',
      '2027-01-01T01: 1 files, 2 replacements',
    ]);
  });

  it('keeps to the range, and lists no more than two key ranges', async () => {
    const keys = [0, 1, 2, 3].flatMap((at) => [
      `${hourPrefix('traces', hourMs + at * hour)}a.parquet`,
      replacementKey('traces', hourMs + at * hour, 1),
    ]);
    const store = storeOf(keys);
    const range = { fromHourMs: hourMs + hour, toHourMs: hourMs + 3 * hour };
    expect(await hoursOf(store, range)).toEqual([
      '2026-12-31T23: 1 files, 1 replacements',
      '2027-01-01T00: 1 files, 1 replacements',
    ]);
    expect(store.operations).toHaveLength(2);
  });

  it('passes over what lies in no hour', async () => {
    const store = storeOf(['signal=traces/notes.txt', 'signal=traces/year=2026/x']);
    expect(await hoursOf(store)).toEqual([]);
  });
});
