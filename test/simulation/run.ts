/**
 * Runs schedules without a test runner, quietly as many as one wants:
 *
 *   node test/simulation/run.ts <first seed> <count> [Kafka partitions] [mutant]
 *
 * Prints sums as one line of JSON. Exit code 1 at the first violation, with its history on stderr;
 * 3 when there is none though a mutant ran, whose partitions are then its own.
 */
import { mutate } from './mutants.ts';

const [first = '1', count = '100', partitions = '0', mutant] = process.argv.slice(2);
const broken = mutant === undefined ? undefined : mutate(mutant);
const { simulate } = await import('./schedule.ts');

const sums: Record<string, number> = {};
const startedMs = performance.now();
for (let index = 0; index < Number(count); index += 1) {
  const seed = Number(first) + index;
  const options = { partitions: broken?.partitions ?? Number(partitions) };
  try {
    const report = await simulate(seed, options);
    for (const [name, value] of Object.entries(report)) sums[name] = (sums[name] ?? 0) + value;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.stdout.write(`${JSON.stringify({ seed, schedules: index + 1 })}\n`);
    process.exit(1);
  }
}
const perScheduleMs = (performance.now() - startedMs) / Number(count);
process.stdout.write(`${JSON.stringify({ ...sums, perScheduleMs })}\n`);
if (broken) process.exitCode = 3;
