import { describe, expect, it } from 'vitest';
import { TaskQueue } from '../../../batch/fleet/queue.ts';
import type { KafkaRecord } from '../../../workers/clients/kafka/consumer.ts';

function records(...offsets: number[]): KafkaRecord[] {
  return offsets.map((offset) => ({
    offset: BigInt(offset),
    timestampMs: 0,
    key: null,
    value: null,
    headers: {},
  }));
}

/** The next task, which there is. */
function taken(queue: TaskQueue) {
  const task = queue.take();
  if (!task) throw new Error('Bug: nothing waits');
  return task;
}

describe('TaskQueue', () => {
  it('says how far a partition is done, whatever ends first', () => {
    const queue = new TaskQueue();
    queue.assign(3, 10n);
    // Offset 11 is no record, and what follows 13 neither.
    queue.add(3, records(10, 12, 13), 15n);
    const [a, b, c] = [taken(queue), taken(queue), taken(queue)];
    expect(queue.take()).toBeUndefined();
    expect(queue.end(b)).toBe(10n);
    expect(queue.end(a)).toBe(13n);
    queue.add(3, records(20), 21n);
    expect(queue.end(c)).toBe(20n);
    expect(queue.end(c)).toBeUndefined();
    expect(queue.end(taken(queue))).toBe(21n);
  });

  it('lets the partitions take turns, the oldest task of each first', () => {
    const queue = new TaskQueue();
    for (const partition of [0, 1, 2]) queue.assign(partition, 0n);
    queue.add(0, records(0, 1, 2), 3n);
    queue.add(2, records(5, 6), 7n);
    queue.add(1, records(3), 4n);
    const order = Array.from({ length: 6 }, () => {
      const { partition, record } = taken(queue);
      return `${partition}/${record.offset}`;
    });
    expect(order).toEqual(['0/0', '1/3', '2/5', '0/1', '2/6', '0/2']);
  });

  it('forgets a partition that is taken away, and tells nothing of what it had begun there', () => {
    const queue = new TaskQueue();
    queue.assign(0, 0n);
    queue.add(0, records(0, 1), 2n);
    const begun = taken(queue);
    queue.revoke(0);
    expect(queue.take()).toBeUndefined();
    expect(queue.end(begun)).toBeUndefined();
    // Given back: it is read again from where the group is.
    queue.assign(0, 0n);
    queue.add(0, records(0, 1), 2n);
    expect(queue.end(begun)).toBeUndefined();
    expect(queue.waiting(0)).toBe(2);
    expect(queue.partitions).toEqual([0]);
    queue.add(9, records(1), 2n);
    expect(queue.size).toBe(2);
  });
});
