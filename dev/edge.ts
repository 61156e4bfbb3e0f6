/**
 * Entry of the embedded stack's edge: runs the Worker in workerd with a local bucket, on loopback.
 * Started by `dev/up.ts`; says `{"ready":…}` on stdout. Needs no network and no account.
 */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { unstable_startWorker } from 'wrangler';
import { edgeProbeMs, edgeProbesMax } from '../schemas/limits.ts';
import { readSettings, settings } from '../schemas/settings.ts';
import type { Program, Settings } from '../schemas/settings.ts';

const { values } = parseArgs({
  options: { port: { type: 'string' }, persist: { type: 'string' } },
  strict: true,
});

const worker = await unstable_startWorker({
  config: path.join(import.meta.dirname, '..', 'wrangler.toml'),
  bindings: bindingsOf(readSettings(process.env)),
  dev: {
    server: { hostname: '127.0.0.1', port: Number(values.port) },
    inspector: false,
    persist: values.persist,
    watch: false,
    logLevel: 'error',
  },
});
await worker.ready;
const url = await worker.url;
process.stdout.write(`${JSON.stringify({ ready: true, url: url.href })}\n`);

process.once('SIGTERM', stop).once('SIGINT', stop).once('disconnect', stop);
await watch(url);

/** The settings that concern the edge, as the Worker's variables. */
function bindingsOf(all: Settings): Record<string, { type: 'plain_text'; value: string }> {
  const names = Object.entries(settings).filter(([, { programs }]) => isEdges(programs));
  return Object.fromEntries(
    names.map(([name]) => {
      const value = String(all[name as keyof Settings]);
      return [name, { type: 'plain_text' as const, value }];
    }),
  );
}

function isEdges(programs: readonly Program[]): boolean {
  return programs.includes('edge') || programs.includes('all');
}

/** Ends this program when workerd answers no more, so that it is started again as a whole. */
async function watch(address: URL): Promise<void> {
  for (let failures = 0; failures < edgeProbesMax;) {
    await pause(edgeProbeMs);
    const isWell = await fetch(new URL('/healthz', address), {
      signal: AbortSignal.timeout(edgeProbeMs),
    }).then(
      (answer) => answer.ok,
      () => false,
    );
    failures = isWell ? 0 : failures + 1;
  }
  process.stderr.write(`workerd gave no answer ${edgeProbesMax} times\n`);
  process.exit(1);
}

function stop(): void {
  worker.dispose().then(
    () => process.exit(0),
    () => process.exit(1),
  );
}
