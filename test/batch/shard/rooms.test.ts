import { describe, expect, it } from 'vitest';
import { Rooms } from '../../../batch/shard/rooms.ts';
import { roomStepBytes } from '../../../schemas/limits/batch.ts';

describe(Rooms.name, () => {
  it('gives the smallest room that is large enough again', () => {
    const rooms = new Rooms(2);
    const [small, large] = [rooms.take(1), rooms.take(roomStepBytes + 1)];
    expect([small.length, large.length]).toEqual([roomStepBytes, 2 * roomStepBytes]);
    rooms.give(large);
    rooms.give(small);
    const again = [rooms.take(100), rooms.take(100), rooms.take(100)];
    expect(again.map((room) => [small, large].indexOf(room))).toEqual([0, 1, -1]);
  });

  it('keeps no more than it may, the largest of them', () => {
    const rooms = new Rooms(1);
    const [small, large] = [rooms.take(1), rooms.take(roomStepBytes + 1)];
    rooms.give(large);
    rooms.give(small);
    expect(small.length).toBe(0);
    expect(rooms.take(1) === large).toBe(true);
  });
});
