/** What probes of a fleet's worker are told. */
import { expect, it } from 'vitest';
import { WorkerState } from '../../../batch/fleet/state.ts';
import { shardMsMax } from '../../../schemas/limits/fleet.ts';
import { kafkaSilentMsMax } from '../../../schemas/limits/kafka.ts';

it('stuck() names a task that does not end, and tasks that nobody reads any more', () => {
  let now = 0;
  const state = new WorkerState(() => now);
  const task = {};
  state.begin(task);
  state.silence.hear('begins');
  now += kafkaSilentMsMax + 60_000;
  const silent = `no fetch was answered for ${now / 1000} s, although there are partitions to read`;
  expect(state.stuck()).toEqual([`tasks: ${silent}`]);
  state.silence.hear('goes on');
  expect(state.stuck()).toEqual([]);
  // All partitions are paused while as many tasks are held as may be.
  state.silence.hear('rests');
  now += 2 * shardMsMax;
  expect(state.stuck()).toEqual([
    `a task has been running for ${Math.round(now / 60_000)} minutes`,
  ]);
  state.end(task);
  expect(state.stuck()).toEqual([]);
});
