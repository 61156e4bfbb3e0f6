/** Two projects: `node` for everything on Node, `workerd` for the edge, run in the real runtime. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Many tests wait for other processes: a file more than the default of one a core but one.
    maxWorkers: 2,
    reporters: ['default', './test/support/reporter.ts'],
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/edge/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      './test/edge/vitest.config.ts',
    ],
  },
});
