/** Ticks of cron triggers on real R2, through the entry that the runtime calls. */
import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import worker from '../../edge/index.ts';
import { kindsOf, storeTick } from '../../edge/tick.ts';
import { tickTriesMax } from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import { clear, keys, stack } from './stack.ts';

const dueMs = Date.parse('2026-11-23T04:00:00.321Z');
const settings = readSettings({});

beforeEach(clear);

describe('a cron trigger', () => {
  it('of the batch stores one tick, however often it fires', async () => {
    for (const late of [0, 0, 20_000]) {
      const scheduledTime = new Date(dueMs + late);
      const controller = createScheduledController({ scheduledTime, cron: '0 4 * * *' });
      await worker.scheduled(controller, env);
    }
    expect(await keys()).toEqual(['_ticks/day/2026-11-23T04:00Z.json']);
    const hourly = createScheduledController({
      scheduledTime: new Date(dueMs + 600_000),
      cron: '10 * * * *',
    });
    await worker.scheduled(hourly, env);
    expect((await keys()).filter((key) => key.startsWith('_ticks/'))).toEqual([
      '_ticks/day/2026-11-23T04:00Z.json',
      '_ticks/hour/2026-11-23T04:10Z.json',
    ]);
    const stored = await env.ARCHIVE.get('_ticks/day/2026-11-23T04:00Z.json');
    expect(await stored?.json()).toEqual({
      version: 1,
      kind: 'day',
      at: '2026-11-23T04:00:00.000Z',
    });
  });

  it('of the drain, and one without a line as the embedded stack gives it, stores none', async () => {
    for (const cron of ['* * * * *', '']) {
      await worker.scheduled(
        createScheduledController({ scheduledTime: new Date(dueMs), cron }),
        env,
      );
    }
    // It drained: that is what the drain remembers.
    expect(await keys()).toEqual(['_drain/state.json']);
  });

  it('never overwrites a tick that is there', async () => {
    await env.ARCHIVE.put('_ticks/day/2026-11-23T04:00Z.json', 'first');
    await storeTick(env.ARCHIVE, 'day', dueMs);
    expect(await (await env.ARCHIVE.get('_ticks/day/2026-11-23T04:00Z.json'))?.text()).toBe(
      'first',
    );
  });

  it('tries again when R2 fails, and warns when it fails for good', async () => {
    let failures = tickTriesMax - 1;
    const put = async (...args: Parameters<typeof env.ARCHIVE.put>) => {
      if (failures > 0) {
        failures -= 1;
        throw new Error('R2 is away');
      }
      return env.ARCHIVE.put(...args);
    };
    await storeTick({ put }, 'hour', dueMs);
    expect(await keys()).toEqual(['_ticks/hour/2026-11-23T04:00Z.json']);
    await clear();
    failures = tickTriesMax;
    const { edge, warnings } = stack({
      bucket: new Proxy(env.ARCHIVE, {
        get: (bucket, name) => (name === 'put' ? put : (Reflect.get(bucket, name) as unknown)),
      }),
    });
    await edge.scheduled('10 * * * *', dueMs);
    expect(warnings).toEqual(["Cannot store the batch's tick of the hour: R2 is away"]);
    expect(await keys()).toEqual([]);
  });
});

describe('kindsOf()', () => {
  it('goes by the lines of the settings', () => {
    expect(kindsOf('0 4 * * *', settings)).toEqual(['day']);
    expect(kindsOf(' 10 * * * * ', settings)).toEqual(['hour']);
    expect(kindsOf('* * * * *', settings)).toEqual([]);
    const same = { TIDEMARK_BATCH_CRON: '5 * * * *', TIDEMARK_BATCH_HOUR_CRON: '5 * * * *' };
    expect(kindsOf('5 * * * *', same)).toEqual(['day', 'hour']);
    expect(kindsOf('', { ...same, TIDEMARK_BATCH_CRON: '' })).toEqual([]);
  });
});
