/**
 * The edge's tests run inside workerd, the runtime that Cloudflare runs, with the Worker of
 * wrangler.toml and its local R2. What the Worker itself sends out goes nowhere: tests that need
 * a ClickHouse hand in a `fetch` of their own.
 */
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-pool-workers';
import { defineProject } from 'vitest/config';

export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: fileURLToPath(new URL('../../wrangler.toml', import.meta.url)) },
    }),
  ],
  test: {
    name: 'workerd',
    include: ['**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
