import { expect, it } from 'vitest';
import { listTicks } from '../../../batch/scheduler/inbox.ts';
import { FaultyStore } from '../../support/faults.ts';

it('listTicks() has the ticks of each kind, oldest first, and no other object', async () => {
  const keys = [
    '_ticks/hour/2026-11-23T05:10Z.json',
    '_ticks/day/2026-11-23T04:00Z.json',
    '_ticks/hour/2026-11-23T04:10Z.json',
    '_ticks/hour/later.json',
    '_leases/batch/0999999999999.json',
  ];
  const store = new FaultyStore(new Map(keys.map((key) => [key, new Uint8Array()])));
  expect(await listTicks(store)).toEqual([
    { kind: 'day', atMs: Date.parse('2026-11-23T04:00:00Z') },
    { kind: 'hour', atMs: Date.parse('2026-11-23T04:10:00Z') },
    { kind: 'hour', atMs: Date.parse('2026-11-23T05:10:00Z') },
  ]);
});
