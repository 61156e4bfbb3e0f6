import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { intend } from '../../../batch/publish/intent.ts';
import { intentKey, intentOf, intentPrefix, type RunName } from '../../../schemas/intent.ts';
import { keysUnder } from '../../support/committed.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';

const run: RunName = {
  signal: 'traces',
  period: { name: '2026-11-21T07' },
  runId: '2026-11-21T07-0123456789ab-c0de1234',
};
let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});
afterAll(() => bucket.close());

describe('intend()', () => {
  it('shows each at least to the one that comes later, and to nobody afterwards', async () => {
    const options = { store: bucket.store, random: Math.random };
    const seen = await intend(options, run, 'restore', async (first) => {
      expect(first).toEqual({ drop: [], restore: [] });
      return intend(options, run, 'drop', async (second) => second);
    });
    expect(seen).toMatchObject({ drop: [], restore: [{ key: expect.any(String) as string }] });
    expect(Math.abs((seen.restore[0]?.storedMs ?? 0) - Date.now())).toBeLessThan(600_000);
    expect(await keysUnder(bucket.store, '_runs/')).toEqual([]);
  });

  it('is about one run', async () => {
    const options = { store: bucket.store, random: Math.random };
    const other = { ...run, runId: `${run.runId}x` };
    const others = await intend(options, other, 'drop', () =>
      intend(options, run, 'restore', async (found) => found),
    );
    expect(others).toEqual({ drop: [], restore: [] });
  });

  it('withdraws what fails', async () => {
    const failing = intend({ store: bucket.store, random: Math.random }, run, 'drop', () =>
      Promise.reject(new Error('power cut')),
    );
    await expect(failing).rejects.toThrow('power cut');
    expect(await keysUnder(bucket.store, '_runs/')).toEqual([]);
  });
});

describe('intentOf()', () => {
  it('reads what intentKey() writes, and nothing else', () => {
    expect(intentOf(run, intentKey(run, 'drop', 'a1'))).toBe('drop');
    expect(intentOf(run, intentKey(run, 'restore', 'drop-'))).toBe('restore');
    expect(intentOf(run, `${intentPrefix(run)}note.txt`)).toBeUndefined();
  });
});
