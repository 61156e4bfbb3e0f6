/**
 * An archiver in a process of its own, for tests that kill it. Arguments: the S3 endpoint, then
 * `once` to end when nothing waits any more, then Kafka's brokers if there is one. Loads everything, says `ready`, and begins at the first
 * byte on its standard input.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import { openStore } from '../../workers/clients/store/objects.ts';

const [endpoint, mode, brokers = ''] = process.argv.slice(2);
const settings = readSettings({
  KAFKA_BROKERS: brokers,
  KAFKA_SESSION_MS: '2000',
  S3_ENDPOINT: endpoint,
  TIDEMARK_FLUSH_AGE_MS: '0',
  TIDEMARK_FLUSH_ROWS: '40',
  TIDEMARK_ARCHIVE_POLL_MS: '5',
});
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
const transcoder = await WebAssembly.compile(await readFile(wasm));
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const store = openStore(settings);
const ignore = () => undefined;
const warn = (fields: object, message: string) => {
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
};
const kafka = brokers && openKafka(settings, { info: ignore, debug: ignore, warn: ignore });

process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
const report = await runArchiver({
  store,
  ...(kafka && { kafka }),
  settings,
  transcoder,
  clock: {
    now: () => Date.now(),
    sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(ignore),
  },
  random: randomBytes,
  log: {
    info: ignore,
    debug: ignore,
    warn,
  },
  signal: stop.signal,
  codeVersion: 'test',
  once: mode === 'once',
  // As the command runs it, so that a kill takes a thread in the middle of a flush with it.
  threads: 1,
});
store.close();
process.stdout.write(`${JSON.stringify(report)}\n`);
