/**
 * Which partitions hold a period back, on a real Kafka: idle ones, a topic that grows, one that is
 * deleted, and a signal that nobody has ever sent.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgePartitions, judgeSignals } from '../../../bin/status/judge.ts';
import { topics } from '../../../schemas/archive.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { parseRegistration, watermarkKey } from '../../../schemas/commit.ts';
import { silentPartitionMs } from '../../../schemas/limits/archive.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { runArchiver } from '../../../workers/archive.ts';
import { register, takeCensus } from '../../../workers/sources/census.ts';
import { listPeriodFiles, readPartition } from '../../../workers/clients/commits/archive.ts';
import type { KafkaAdmin } from '../../../workers/clients/kafka/kafka.ts';
import { readEnds } from '../../../workers/clients/kafka/lag.ts';
import { archiveStatus } from '../../../workers/clients/commits/status.ts';
import { spoolObject } from '../../support/committed.ts';
import { noKafka, startTestKafka } from '../../support/kafka.ts';
import type { TestKafka } from '../../support/kafka.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';

const hour = 3_600_000;
const minute = 60_000;

let bucket: Bucket;
beforeAll(async () => {
  bucket = await startBucket();
});
afterAll(async () => bucket.close());

describe('register()', () => {
  const topic = 'otlp_grown';

  it('states the watermark 0 of partitions that the archive does not know, once', async () => {
    expect(await register(bucket.store, topic, [0, 1], 1000)).toEqual({
      added: ['0', '1'],
      missing: [],
    });
    expect(await register(bucket.store, topic, [0, 1], 2000)).toEqual({ added: [], missing: [] });
    const text = await bucket.store.get(watermarkKey(topic, '1', 0));
    expect(parseRegistration(new TextDecoder().decode(text))).toBe(1000);
    expect(await readPartition(bucket.store, topic, '1')).toEqual({
      topic,
      partition: '1',
      nextOffset: '0',
      watermarkMs: 0,
      seenMs: 1000,
      head: undefined,
    });
  });

  it('leaves alone what another archiver has registered at the same moment', async () => {
    const racers = Array.from({ length: 5 }, (_, index) =>
      register(bucket.store, topic, [7], 3000 + index),
    );
    const added = (await Promise.all(racers)).filter((found) => found.added.length > 0);
    expect(added.length).toBeGreaterThan(0);
    const { seenMs } = await readPartition(bucket.store, topic, '7');
    expect(seenMs).toBeGreaterThanOrEqual(3000);
  });

  it('names partitions that Kafka does not have, the spool never', async () => {
    await bucket.store.put(watermarkKey(topic, 'spool', 5000), '{}');
    const { missing } = await register(bucket.store, topic, [0], 4000);
    expect(missing).toEqual(['1', '7']);
  });
});

describe.skipIf(noKafka)('completeness on a real Kafka', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let control: Admin;
  let transcoder: WebAssembly.Module;
  let lines: string[];
  /** How far the clock of archivers is ahead, ms. */
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;

  beforeAll(async () => {
    kafka = await startTestKafka();
    const wasm = new URL('../../../aggregator-as/build/transcode.wasm', import.meta.url);
    transcoder = await WebAssembly.compile(await readFile(wasm));
    admin = await kafka.client.openAdmin();
    const { logLevel } = kafkajs;
    const client = new kafkajs.Kafka({ brokers: [kafka.brokers], logLevel: logLevel.NOTHING });
    control = client.admin();
    await control.connect();
    const config = { 'retention.ms': '-1' };
    await admin.createTopics([
      { topic: topics.traces, partitions: 3, config },
      { topic: topics.logs, partitions: 2, config },
    ]);
  }, 360_000);

  afterAll(async () => {
    await Promise.all([admin.close(), control.disconnect()]);
    await kafka.close();
  });

  const clock = {
    now,
    sleep: (ms: number, signal?: AbortSignal) =>
      delay(ms, undefined, signal && { signal }).catch(() => undefined),
  };
  const log = {
    info: (_: object, message: string) => void lines.push(message),
    warn: (_: object, message: string) => void lines.push(message),
    debug: () => undefined,
  };

  async function archive(): Promise<void> {
    lines = [];
    await runArchiver({
      store: bucket.store,
      kafka: kafka.client,
      settings: readSettings({ KAFKA_SESSION_MS: '6000', TIDEMARK_ARCHIVE_POLL_MS: '20' }),
      transcoder,
      clock,
      random: (byteCount) => randomBytes(byteCount),
      log,
      signal: new AbortController().signal,
      codeVersion: 'test',
      once: true,
    });
  }

  /** How far behind the archivers' clock each signal is complete, in minutes. */
  async function behind(): Promise<Record<Signal, number>> {
    const signals: Signal[] = ['traces', 'metrics', 'logs'];
    const ages = signals.map(async (signal) => {
      const startMs = Math.floor(now() / hour) * hour;
      const period = await listPeriodFiles(bucket.store, signal, startMs, startMs + hour);
      return [signal, Math.floor((now() - period.watermarkMs) / minute)] as const;
    });
    return Object.fromEntries(await Promise.all(ages)) as Record<Signal, number>;
  }

  /** What `tidemark status` says holds traces and logs back, by name. */
  async function heldBy(): Promise<string[]> {
    const status = await archiveStatus(bucket.store);
    const ends = await readEnds(kafka.client);
    const all = judgePartitions({ ...status, ends, nowMs: now(), flushAgeMs: () => 0 });
    const held = judgeSignals(all, now()).flatMap((signal) => signal.heldBy);
    return held
      .map(({ topic, partition, condition }) => `${topic}/${partition} ${condition}`)
      .toSorted();
  }

  it('idle partitions hold nothing back, nor does a signal that was never sent', async () => {
    const producer = await kafka.client.openProducer();
    const value = Buffer.from(spoolObject(topics.traces, Date.now(), 'r', ['one']).body);
    const records = [{ key: null, value, timestampMs: Date.now() }];
    await producer.produce({ topic: topics.traces, partition: 1, records });
    await producer.close();
    await archive();
    // Watermarks stay behind the present by a minute, for clocks that differ.
    const ages = await behind();
    expect(Object.values(ages).every((age) => age >= 1 && age < 5)).toBe(true);
    expect(lines).toContain(
      'Waits for a topic that Kafka does not have; it is read as soon as it is there',
    );
    expect(await heldBy()).toEqual([]);
  });

  it('a partition that Kafka has grown holds every period back until it is read', async () => {
    await control.createPartitions({ topicPartitions: [{ topic: topics.traces, count: 4 }] });
    expect(await heldBy()).toEqual(['otlp_spans/3 unread']);
    const context = { store: bucket.store, clock, log, once: true };
    const { signal } = new AbortController();
    await takeCensus(kafka.client, ['traces', 'logs'], { ...context, signal });
    const grown = await behind();
    expect(grown.traces).toBeGreaterThan(1_000_000);
    expect(grown.logs).toBeLessThan(5);
    await archive();
    expect((await behind()).traces).toBeLessThan(5);
    expect(await heldBy()).toEqual([]);
  });

  it('a topic that was deleted holds periods back for a week, and says so', async () => {
    await control.deleteTopics({ topics: [topics.logs] });
    aheadMs = silentPartitionMs - hour;
    await archive();
    expect(lines).toContain('Kafka does not have partitions that were archived from it');
    expect((await behind()).logs).toBeGreaterThan(6 * 24 * 60);
    expect(await heldBy()).toEqual(['otlp_logs/0 missing', 'otlp_logs/1 missing']);
    aheadMs = silentPartitionMs + hour;
    await archive();
    expect((await behind()).logs).toBeLessThan(5);
    expect(await heldBy()).toEqual([]);
  });
});
