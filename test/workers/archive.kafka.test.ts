/** Archivers as processes that come, go and are killed, on a real Kafka and a real bucket. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import type { KafkaAdmin, KafkaProducer } from '../../workers/clients/kafka/kafka.ts';
import { keysUnder, readCommitted, spoolObject } from '../support/committed.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const topic = topics.traces;
const partitions = 4;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const entry = fileURLToPath(new URL('../support/archiver.ts', import.meta.url));
const kills = 5;

type Archiver = ChildProcessByStdio<Writable, Readable, null>;

describe.skipIf(noKafka)('archiver processes on a real Kafka', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let producer: KafkaProducer;
  let bucket: Bucket;
  const children = new Set<Archiver>();

  beforeEach(async () => {
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    [admin, producer] = await Promise.all([kafka.client.openAdmin(), kafka.client.openProducer()]);
    await admin.createTopics([{ topic, partitions, config: { 'retention.ms': '-1' } }]);
  }, 360_000);

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await Promise.all([producer.close(), admin.close()]);
    await Promise.all([kafka.close(), bucket.close()]);
  });

  /** An archiver that has loaded and waits for its first byte of input. */
  async function loadArchiver(mode = 'forever'): Promise<Archiver> {
    const child = spawn(process.execPath, [entry, bucket.endpoint, mode, kafka.brokers], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    await once(child.stdout, 'data');
    return child;
  }

  async function ended(child: Archiver): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async function everything() {
    const all = await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        readCommitted(bucket.store, topic, String(partition)),
      ),
    );
    return {
      commits: all.flatMap(({ commits }) => commits),
      names: all.flatMap(({ names }) => names).toSorted(),
      repeated: all.reduce((sum, each) => sum + each.repeated, 0),
    };
  }

  /** Waits until there are more commits than `found`, and returns how many there are. */
  async function moreCommits(found: number): Promise<number> {
    for (;;) {
      const { length } = await keysUnder(bucket.store, `_commits/${topic}/`);
      if (length > found) return length;
      await delay(50);
    }
  }

  const options = { timeout: 240_000 };
  it(
    `lose nothing and write nothing twice, killed ${kills} times and once taken for dead`,
    options,
    async () => {
      const seed = 20_261_122;
      console.info(`seed ${seed}`);
      const random = seededRandom(seed);
      const names: string[] = [];
      let requests = 0;
      const produce = async (count: number): Promise<void> => {
        for (let index = 0; index < count; index += 1) {
          const request = requests++;
          const own = Array.from({ length: 4 }, (_, span) => `marker-${request}-${span}`);
          const value = Buffer.from(spoolObject(topic, startMs + request, 'r', own).body);
          const partition = Math.floor(random() * partitions);
          const compression = random() < 0.5 ? 'zstd' : 'gzip';
          const records = [{ key: null, value, timestampMs: startMs + request }];
          await producer.produce({ topic, partition, compression, records });
          names.push(...own);
        }
      };
      const pair = await Promise.all([loadArchiver(), loadArchiver()]);
      for (const archiver of pair) archiver.stdin.write('go');
      let found = 0;
      for (let kill = 0; kill < kills; kill += 1) {
        const next = loadArchiver();
        await produce(40);
        // Somebody is at work again: of two, one has to be seen as dead before the others may go on.
        found = await moreCommits(found);
        await Promise.all([produce(40), delay(random() * 600)]);
        const [victim] = pair.splice(Math.floor(random() * pair.length), 1);
        victim?.kill('SIGKILL');
        pair.push(await next);
        pair.at(-1)?.stdin.write('go');
      }
      // One sleeps until the other has got its partitions, and wakes up in the middle of its work.
      pair[0]?.kill('SIGSTOP');
      await produce(80);
      await moreCommits(await moreCommits(found));
      pair[0]?.kill('SIGCONT');
      await produce(20);
      for (const archiver of pair) archiver.kill('SIGTERM');
      await Promise.all(pair.map(ended));
      expect(pair.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
      const before = await everything();
      const last = await loadArchiver('once');
      last.stdin.write('go');
      await ended(last);
      expect(last.exitCode).toBe(0);
      const after = await everything();
      console.info(`${before.commits.length} commits by the pairs, ${after.commits.length} in all`);
      const writers = new Set(before.commits.map(({ writer }) => writer));
      expect(writers.size).toBeGreaterThanOrEqual(2);
      expect(after.repeated).toBe(0);
      expect(after.names).toEqual(names.toSorted());
    },
  );
});
