/**
 * The edge's tests run inside workerd, the runtime that Cloudflare runs, with the Worker of
 * wrangler.toml and its local R2. Tests that need a ClickHouse hand in a `fetch` of their own.
 */
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-pool-workers';
import { Response } from 'miniflare';
import { defineProject } from 'vitest/config';

export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: fileURLToPath(new URL('../../wrangler.toml', import.meta.url)) },
      // What the entry itself sends out ends here: its inserts fail and go to the spool.
      miniflare: { outboundService: () => new Response(null, { status: 503 }) },
    }),
  ],
  test: {
    name: 'workerd',
    include: ['**/*.test.ts'],
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
