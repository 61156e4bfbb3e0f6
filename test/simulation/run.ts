/**
 * Runs schedules from the command line, without a test runner:
 * `node test/simulation/run.ts <first seed> <count> [partitions]`. Exit code 1 at the first violation.
 */
import { simulate } from './schedule.ts';

const [first = '1', count = '100', partitions = '0'] = process.argv.slice(2);
const sums: Record<string, number> = {};
const startedMs = performance.now();
for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
  const report = await simulate(seed, { partitions: Number(partitions) });
  for (const [name, value] of Object.entries(report)) sums[name] = (sums[name] ?? 0) + value;
}
const elapsedMs = performance.now() - startedMs;
const cpuMs = process.cpuUsage().user / 1000;
const perSchedule = { ms: elapsedMs / Number(count), cpuMs: cpuMs / Number(count) };
process.stdout.write(`${JSON.stringify({ ...sums, perSchedule })}\n`);
