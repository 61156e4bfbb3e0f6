/** The drain's memory on real R2; what the drain does with it is in drain.test.ts. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../../../edge/drain/journal.ts';
import { drainBackoffMs, drainRefusedMax } from '../../../schemas/limits.ts';
import { clear, keys, nowMs } from '../stack.ts';

beforeEach(clear);

const again = async (journal: Journal) => {
  await journal.write(env.ARCHIVE);
  return Journal.read(env.ARCHIVE);
};

describe('Journal', () => {
  it('Journal remembers pauses, refusals and loads', async () => {
    const journal = await Journal.read(env.ARCHIVE);
    journal.tookNothing('otel_logs', nowMs);
    journal.refuse('a');
    journal.refuse('a');
    journal.legs = { speed: { objects: 2, bytes: 3, oldestMs: nowMs } };
    const read = await again(journal);
    expect(read.rests('otel_logs', nowMs + drainBackoffMs - 1)).toBe(true);
    expect(read.rests('otel_logs', nowMs + drainBackoffMs)).toBe(false);
    expect(read.rests('otel_traces', nowMs)).toBe(false);
    expect(read.refusals('a')).toBe(2);
    expect(read.legs).toEqual({ speed: { objects: 2, bytes: 3, oldestMs: nowMs } });
    read.tookRows('otel_logs');
    read.keep(new Set(['b']));
    const last = await again(read);
    expect(last.rests('otel_logs', nowMs)).toBe(false);
    expect(last.refusals('a')).toBe(0);
  });

  it('Journal writes nothing when nothing has changed', async () => {
    await (await Journal.read(env.ARCHIVE)).write(env.ARCHIVE);
    expect(await keys()).toEqual([]);
    const journal = await Journal.read(env.ARCHIVE);
    journal.refuse('a');
    const read = await again(journal);
    let writes = 0;
    await read.write({
      get: () => Promise.resolve(null),
      put: () => Promise.resolve((writes += 1)),
    });
    expect(writes).toBe(0);
  });

  it('Journal is bounded', async () => {
    const journal = await Journal.read(env.ARCHIVE);
    for (let index = 0; index < 2 * drainRefusedMax; index += 1) journal.refuse(`key-${index}`);
    const read = await again(journal);
    expect(read.refusals('key-0')).toBe(1);
    expect(read.refusals(`key-${2 * drainRefusedMax - 1}`)).toBe(0);
  });

  it.each(['', 'null', '[]', '{"tables":', '{"tables":{},"refused":{}}', '7'])(
    'Journal takes "%s" for an empty one',
    async (text) => {
      await env.ARCHIVE.put('_drain/state.json', text);
      const journal = await Journal.read(env.ARCHIVE);
      expect(journal.rests('otel_logs', nowMs)).toBe(false);
      expect(journal.legs).toEqual({});
    },
  );
});
