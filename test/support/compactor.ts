/**
 * A compactor in a process of its own, for tests that kill it. Arguments: the S3 endpoint, and the range
 * of hours in ms. Compacts traces once with a thread as the command does, in many small steps, and says
 * on standard output what it is at: `rewrite`, `rewritten` (the outputs are stored), `replaced`.
 */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { readSettings } from '../../schemas/settings.ts';
import { openStore, type ObjectStore } from '../../workers/clients/store/objects.ts';
import { runCompaction } from '../../workers/compact.ts';
import { Rewriter } from '../../workers/compact/rewriter.ts';

const [endpoint, fromMs, toMs] = process.argv.slice(2);
const settings = readSettings({
  S3_ENDPOINT: endpoint,
  TIDEMARK_COMPACT_FILES_MIN: '2',
  TIDEMARK_COMPACT_MEMORY_BYTES: String(1024 * 1024),
});
const store = openStore(settings);
const url = new URL('../../workers/compact/thread.ts', import.meta.url);
const rewriter = new Rewriter({
  store,
  startThread: () => new Worker(url, { workerData: settings }),
});
const ignore = () => undefined;
const say = (word: string) => process.stdout.write(`${word}\n`);
const saying: ObjectStore = new Proxy(store, {
  get(target, name: keyof ObjectStore) {
    if (name !== 'put') return target[name].bind(target);
    return async (...call: Parameters<ObjectStore['put']>) => {
      await target.put(...call);
      say('replaced');
    };
  },
});
const { hours, failures } = await runCompaction({
  store: saying,
  settings,
  rewriter: {
    async rewrite(task) {
      say('rewrite');
      const result = await rewriter.rewrite(task);
      say('rewritten');
      return result;
    },
  },
  now: () => Date.now(),
  randomName: () => randomBytes(8).toString('hex'),
  log: { info: ignore, warn: ignore, debug: ignore },
  signals: ['traces'],
  fromMs: Number(fromMs),
  toMs: Number(toMs),
  codeVersion: 'test',
});
await rewriter.close();
store.close();
if (failures.length > 0) throw failures[0]?.error ?? new Error('failed');
process.stdout.write(`${hours.length}\n`);
