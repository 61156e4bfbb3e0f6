/** What is read to tell what becomes of files; what is told is tested by sweep.test.ts. */
import { describe, expect, it } from 'vitest';
import { fileKey, hourPrefix, topics } from '../../../../schemas/archive.ts';
import { Fates } from '../../../../workers/clients/commits/fates.ts';
import { FaultyStore } from '../../../support/faults.ts';
import { CountingStore } from '../../../support/objects.ts';

const topic = topics.traces;
const hourMs = Date.UTC(2026, 10, 22, 13);

function keyOf(partition: string, firstOffset: bigint, attempt: string): string {
  return fileKey('traces', hourMs, { topic, partition, firstOffset, attempt });
}

describe('Fates.of()', () => {
  it('asks once for a commit that does not exist, and once for the end of its log', async () => {
    const store = new CountingStore(new FaultyStore(new Map()));
    const fates = new Fates(store, 0);
    const keys = ['a', 'b', 'c', 'd'].map((attempt) => keyOf('0', 0n, attempt));
    const files = keys.map((key) => ({ key, bytes: 1, modifiedMs: -1 }));
    const hour = { folder: hourPrefix('traces', hourMs), hourMs, files, replacements: [] };
    for (let times = 0; times < 3; times += 1) {
      const found = await fates.of(hour);
      expect(found.map(({ fate }) => fate)).toEqual(['pending', 'pending', 'pending', 'pending']);
    }
    expect(store.requests).toEqual({ get: 1, list: 1, head: 0, put: 0, delete: 0 });
  });

  it('throws CORRUPT_ARCHIVE for a commit that cannot be read', async () => {
    const store = new FaultyStore(
      new Map([[`_commits/${topic}/0/9223372036854775807.json`, Uint8Array.of(1)]]),
    );
    const files = [{ key: keyOf('0', 0n, 'a'), bytes: 1, modifiedMs: 0 }];
    const hour = { folder: hourPrefix('traces', hourMs), hourMs, files, replacements: [] };
    const found = new Fates(store, 1).of(hour);
    await expect(found).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});
