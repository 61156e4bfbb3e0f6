import { expect, it } from 'vitest';
import { parseTickKey, tickKey, tickOf } from '../../schemas/tick.ts';

it('tickKey() names kind and minute, and keys sort by time', () => {
  const at = Date.parse('2026-11-23T04:00:59.999Z');
  expect(tickKey(tickOf('day', at))).toBe('_ticks/day/2026-11-23T04:00Z.json');
  const later = tickKey(tickOf('day', at + 1));
  expect(later).toBe('_ticks/day/2026-11-23T04:01Z.json');
  expect(later > tickKey(tickOf('day', at))).toBe(true);
});

it('parseTickKey() reads its own keys and no others', () => {
  const tick = { kind: 'hour', atMs: Date.parse('2028-02-29T23:59:00Z') } as const;
  expect(parseTickKey(tickKey(tick))).toEqual(tick);
  for (const key of [
    '_ticks/week/2026-11-23T04:00Z.json',
    '_ticks/day/2026-11-31T04:00Z.json',
    '_ticks/day/2026-11-23T24:00Z.json',
    '_ticks/day/2026-11-23T04:00Z.json.bak',
    '_ticks/day/2026-11-23T04:00:00Z.json',
    'x/_ticks/day/2026-11-23T04:00Z.json',
    '_ticks/day/',
  ]) {
    expect(parseTickKey(key), key).toBeUndefined();
  }
});
