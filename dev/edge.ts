/**
 * Entry of the embedded stack's edge: runs the Worker in workerd with a local bucket, on loopback,
 * with the bindings of wrangler.toml. Started by `dev/up.ts`; says `{"ready":…}` on stdout. Needs no
 * network and no account. It is Miniflare without `wrangler dev` around it, whose proxy answers 500
 * when it has lost a connection to the Worker that was idle: OTLP clients do not send that again.
 */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
import { edgeProbeMs, edgeProbesMax } from '../schemas/limits/dev.ts';
import { readSettings, settings } from '../schemas/settings.ts';
import type { Settings } from '../schemas/settings.ts';
import type { Program } from '../schemas/settings/row.ts';
import { bundleEdge } from './bundle.ts';

const { values } = parseArgs({
  options: { port: { type: 'string' }, persist: { type: 'string' } },
  strict: true,
});
const { persist } = values;
if (persist === undefined) throw new Error('Bug: no --persist was given');

const root = path.join(import.meta.dirname, '..');
const { modules } = await bundleEdge();
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: Number(values.port),
    log: new Log(LogLevel.ERROR),
    // The layout that `wrangler dev --persist-to` has.
    resourcePersistencePath: path.join(persist, 'v3'),
    unsafeTriggerHandlers: true,
    workers: [{ ...workerOptions(), name: 'edge', modulesRoot: root, modules }],
  }),
);
const url = await miniflare.ready;
await assertServes(url);
process.stdout.write(`${JSON.stringify({ ready: true, url: url.href })}\n`);

process.once('SIGTERM', stop).once('SIGINT', stop).once('disconnect', stop);
await watch(url);

/** What wrangler.toml says, with the settings as the Worker's variables. */
function workerOptions() {
  const { workerOptions: options } = unstable_getMiniflareWorkerOptions(
    path.join(root, 'wrangler.toml'),
  );
  return { ...options, bindings: variables(readSettings(process.env)) };
}

/** The settings that concern the edge. */
function variables(all: Settings): Record<string, string> {
  const names = Object.entries(settings).filter(([, { programs }]) => isEdges(programs));
  return Object.fromEntries(
    names.map(([name]) => [name, String(all[name as keyof Settings])] as const),
  );
}

function isEdges(programs: readonly Program[]): boolean {
  return programs.includes('edge') || programs.includes('all');
}

/** Ends this program when the Worker refuses its settings: it would answer 503 to everything. */
async function assertServes(address: URL): Promise<void> {
  const answer = await fetch(new URL('/healthz', address));
  const said = await answer.text();
  if (answer.ok) return;
  const { message = said } = JSON.parse(said) as { message?: string };
  process.stderr.write(`${message}\n`);
  await miniflare.dispose();
  process.exit(1);
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
  miniflare.dispose().then(
    () => process.exit(0),
    () => process.exit(1),
  );
}
