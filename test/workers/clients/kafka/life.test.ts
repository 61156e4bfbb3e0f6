/** What a member does while its caller is at work; how lives end is in consumer.test.ts. */
import type { EachBatchPayload } from 'kafkajs';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { alive } from '../../../../workers/clients/kafka/life.ts';

function payloadOf(heartbeat: () => Promise<void>): EachBatchPayload {
  return { heartbeat } as unknown as EachBatchPayload;
}

describe('alive()', () => {
  it('tells the group that we live as long as the work takes', async () => {
    let beats = 0;
    const payload = payloadOf(() => Promise.resolve(void (beats += 1)));
    await alive(payload, 10, pause(200));
    const then = beats;
    expect(then).toBeGreaterThan(1);
    await pause(50);
    expect(beats).toBe(then);
  });

  it('finishes the work before it tells of a group that is shared out anew', async () => {
    let isDone = false;
    const work = pause(100).then(() => void (isDone = true));
    const payload = payloadOf(() => Promise.reject(new Error('The group is rebalancing')));
    await expect(alive(payload, 10, work)).rejects.toThrow('rebalancing');
    expect(isDone).toBe(true);
  });
});
