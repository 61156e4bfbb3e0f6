/**
 * Five projects: `node` for what runs on Node, `shared` for those of its files that can share a process,
 * which saves loading engines and libraries for each, `workerd` for the edge, in the real runtime,
 * `fleet` for tests that start, kill and watch many programs, after the others, and `alone` for the whole
 * stack, one file at a time, so that it has the machine to itself.
 */
import path from 'node:path';
import { defineConfig } from 'vitest/config';

const alone = ['test/integration/{demo,stack}.test.ts'];
const fleet = [
  'test/integration/**/*.test.ts',
  'test/docs/{fleet,batchfleet}.test.ts',
  'test/batch/fleet/{coordinate,kill,schedule}.test.ts',
  'test/batch/crash.test.ts',
  'test/batch/scheduler.kill.test.ts',
  'test/workers/archive.{crash,kafka,kill}.test.ts',
  'test/workers/compact.kill.test.ts',
];
const shared = ['test/{aggregator-as,batch,bin,schemas}/**/*.test.ts'];
// The programs that tests start load in half the time when Node keeps what it has compiled.
process.env['NODE_COMPILE_CACHE'] ??= path.join(import.meta.dirname, 'node_modules/.cache/compile');

const limits = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    // Many tests wait for other programs: a file more than the default, which is one core less.
    maxWorkers: 2,
    reporters: ['default', './test/support/reporter.ts'],
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/edge/**', ...shared, ...fleet],
          ...limits,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'shared',
          include: shared,
          exclude: fleet,
          isolate: false,
          ...limits,
          maxWorkers: 2,
        },
      },
      './test/edge/vitest.config.ts',
      {
        test: {
          name: 'fleet',
          include: fleet,
          exclude: alone,
          ...limits,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'alone',
          include: alone,
          ...limits,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
