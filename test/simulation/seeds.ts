/**
 * Which schedules a test runs: those of its range of seeds, or the one that
 * `TIDEMARK_SIMULATION_SEED` names, or more with `TIDEMARK_SIMULATION_COUNT` for each range.
 */
import { simulate } from './schedule.ts';
import type { ScheduleReport } from './schedule.ts';

/** Sums of what the schedules were like; asserts nothing by itself but what `simulate` does. */
export async function simulateAll(
  firstSeed: number,
  count: number,
  partitions: number,
): Promise<Record<keyof ScheduleReport | 'schedules', number>> {
  const only = process.env['TIDEMARK_SIMULATION_SEED'];
  const first = only === undefined ? firstSeed : Number(only);
  const wanted = process.env['TIDEMARK_SIMULATION_COUNT'] ?? count;
  const last = first + (only === undefined ? Number(wanted) : 1);
  const sums = {
    events: 0,
    requests: 0,
    commits: 0,
    crashes: 0,
    conflicts: 0,
    reads: 0,
    swept: 0,
    compactions: 0,
  };
  for (let seed = first; seed < last; seed += 1) {
    const report = await simulate(seed, { partitions });
    for (const name of Object.keys(sums) as (keyof ScheduleReport)[]) sums[name] += report[name];
    // The runner wants to hear from its worker now and then.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  console.info(`seeds ${first} to ${last - 1}, ${partitions} partitions: ${JSON.stringify(sums)}`);
  return { ...sums, schedules: last - first };
}

/** True when a single schedule is replayed: then nothing is known of sums. */
export const isReplay = process.env['TIDEMARK_SIMULATION_SEED'] !== undefined;
