/** The archiver on a real Kafka: where it begins, what it takes, and how it shares partitions. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, deadPrefix, recordHeaders, topics } from '../../../schemas/archive.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { runArchiver } from '../../../workers/archive.ts';
import { Vitals } from '../../../workers/watch/vitals.ts';
import type { ArchiverOptions } from '../../../workers/archive.ts';
import type {
  KafkaAdmin,
  KafkaProducer,
  OutgoingRecord,
} from '../../../workers/clients/kafka/kafka.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { duckdb, duckdbFiles } from '../../support/archived.ts';
import { keysUnder, readCommitted, spoolObject, withFiles } from '../../support/committed.ts';
import { runPeer } from '../../support/java.ts';
import { noKafka, startTestKafka } from '../../support/kafka.ts';
import type { TestKafka } from '../../support/kafka.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';

const topic = topics.traces;
const wasm = new URL('../../../aggregator-as/build/transcode.wasm', import.meta.url);
const silent = { info: () => undefined, warn: () => undefined, debug: () => undefined };
const config = { 'retention.ms': '-1' };

function recordOf(names: readonly string[], more: Partial<OutgoingRecord> = {}): OutgoingRecord {
  const value = Buffer.from(spoolObject(topic, Date.now(), 'r', names).body);
  return { key: null, value, timestampMs: Date.now(), ...more };
}

/** Flips a bit of the records of the batch that begins with `offset`, in partition 2's log. */
async function breakBatch(directory: string, offset: bigint): Promise<void> {
  const file = path.join(directory, 'data', `${topic}-2`, `${'0'.repeat(20)}.log`);
  const log = await readFile(file);
  // Kafka's log: base offset, length of the rest, and the rest; records begin 61 bytes on.
  for (let at = 0; at < log.length; at += 12 + log.readInt32BE(at + 8)) {
    if (log.readBigInt64BE(at) !== offset) continue;
    log.writeUInt8(log.readUInt8(at + 61 + 20) ^ 1, at + 61 + 20);
    return writeFile(file, log);
  }
  throw new Error(`There is no batch at ${offset} in ${file}`);
}

describe.skipIf(noKafka)('the archiver on a real Kafka', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let producer: KafkaProducer;
  let bucket: Bucket;
  let transcoder: WebAssembly.Module;
  let groups = 0;

  beforeAll(async () => {
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    transcoder = await WebAssembly.compile(await readFile(wasm));
    [admin, producer] = await Promise.all([kafka.client.openAdmin(), kafka.client.openProducer()]);
    await admin.createTopics([{ topic, partitions: 3, config }]);
  }, 360_000);

  afterAll(async () => {
    await Promise.all([producer.close(), admin.close()]);
    await Promise.all([kafka.close(), bucket.close()]);
  });

  beforeEach(async () => {
    groups += 1;
    await bucket.store.delete(await keysUnder(bucket.store, ''));
  });

  function optionsOf(
    more: Partial<ArchiverOptions> = {},
    environment: Record<string, string> = {},
  ): ArchiverOptions {
    return {
      store: bucket.store,
      kafka: kafka.client,
      settings: readSettings({
        KAFKA_BROKERS: kafka.brokers,
        KAFKA_GROUP: `group-${groups}`,
        KAFKA_SESSION_MS: '6000',
        TIDEMARK_ARCHIVE_POLL_MS: '20',
        ...environment,
      }),
      transcoder,
      clock: {
        now: () => Date.now(),
        sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
      },
      random: (byteCount) => randomBytes(byteCount),
      log: silent,
      signal: new AbortController().signal,
      codeVersion: 'test',
      signals: ['traces'],
      once: true,
      ...more,
    };
  }

  /** What is committed of all three partitions. */
  async function committed() {
    const all = await Promise.all(
      ['0', '1', '2'].map((partition) => readCommitted(bucket.store, topic, partition)),
    );
    return {
      commits: all.flatMap(({ commits }) => commits),
      names: all.flatMap(({ names }) => names).toSorted(),
      repeated: all.reduce((sum, { repeated }) => sum + repeated, 0),
    };
  }

  /** Archives what earlier tests have left in the topic. */
  async function takeOld(): Promise<void> {
    await runArchiver(optionsOf());
    await bucket.store.delete(await keysUnder(bucket.store, deadPrefix(topic)));
  }

  it('reads Kafka and the spool, with the coordinates and tenants of the records', async () => {
    const header = { [recordHeaders.tenant]: Buffer.from('umbrella') };
    await producer.produce({
      topic,
      partition: 1,
      compression: 'gzip',
      records: [
        recordOf(['keyed'], { key: Buffer.from('acme/01J') }),
        recordOf(['headed'], { headers: header }),
      ],
    });
    await producer.produce({ topic, partition: 2, records: [recordOf(['plain', 'also plain'])] });
    const spooled = spoolObject(topic, Date.now(), 'r1', ['spooled']);
    await bucket.store.put(spooled.key, spooled.body);
    const report = await runArchiver(optionsOf());
    expect(report).toMatchObject({ commits: 3, requests: 4, rows: 5 });
    expect(await keysUnder(bucket.store, archiveSpoolPrefix(topic))).toEqual([]);
    const files = await keysUnder(bucket.store, 'signal=');
    const rows = await withFiles(bucket.store, files, (paths) =>
      duckdb(
        `SELECT to_json({name: SpanName, tenant: TenantId, place: "Partition", number: "Offset",
           index: ItemIndex, age: epoch_ms(now()::TIMESTAMP) - epoch_ms(IngestedAt)})::VARCHAR AS row
         FROM ${duckdbFiles(paths)} ORDER BY "Partition", "Offset", ItemIndex`,
        'row',
      ),
    );
    expect(rows).toMatchObject([
      { name: 'spooled', tenant: 'acme', place: -1, number: 0, index: 0 },
      { name: 'keyed', tenant: 'acme', place: 1, number: 0, index: 0 },
      { name: 'headed', tenant: 'umbrella', place: 1, number: 1, index: 0 },
      { name: 'plain', tenant: 'default', place: 2, number: 0, index: 0 },
      { name: 'also plain', tenant: 'default', place: 2, number: 0, index: 1 },
    ]);
    for (const { age } of rows) expect(Math.abs(Number(age))).toBeLessThan(600_000);
  });

  it('begins where its log ends, whatever the group says, and tells the group', async () => {
    await takeOld();
    await producer.produce({ topic, partition: 0, records: [recordOf(['new'])] });
    // A group that has never been there: by its offsets all records would be new.
    const settings = readSettings({
      KAFKA_GROUP: `fresh-${groups}`,
      TIDEMARK_ARCHIVE_POLL_MS: '20',
    });
    const report = await runArchiver(optionsOf({ settings }));
    expect(report).toMatchObject({ requests: 1, rows: 1 });
    expect(await committed()).toMatchObject({ repeated: 0 });
    expect((await committed()).names.filter((name) => name === 'new')).toEqual(['new']);
  });

  it('puts a record that cannot be decoded aside with its coordinates, and goes on', async () => {
    await takeOld();
    const broken = {
      key: null,
      value: Buffer.from([0x0a, 0xff, 0x01, 0]),
      timestampMs: Date.now(),
    };
    await producer.produce({
      topic,
      partition: 0,
      records: [recordOf(['before']), broken, recordOf(['behind'])],
    });
    const report = await runArchiver(optionsOf());
    expect(report).toMatchObject({ requests: 3, rows: 2 });
    const [key = '', reasonKey = ''] = await keysUnder(bucket.store, deadPrefix(topic));
    expect(Buffer.from((await bucket.store.get(key)) ?? [])).toEqual(broken.value);
    const reason = new TextDecoder().decode(await bucket.store.get(reasonKey));
    expect(JSON.parse(reason)).toMatchObject({ topic, partition: '0', code: 'BAD_OTLP', bytes: 4 });
    expect(Number((JSON.parse(reason) as { offset: string }).offset)).toBeGreaterThanOrEqual(1);
  });

  it('takes a record without a value, and an empty one, for requests without items', async () => {
    await takeOld();
    const empty = { key: null, timestampMs: Date.now() };
    const records = [
      { ...empty, value: null },
      { ...empty, value: Buffer.of() },
      recordOf(['after nothing']),
    ];
    await producer.produce({ topic, partition: 1, records });
    const report = await runArchiver(optionsOf());
    expect(report).toMatchObject({ requests: 3, rows: 1 });
    expect(await keysUnder(bucket.store, deadPrefix(topic))).toEqual([]);
  });

  it('shows the lag to other clients of Kafka: nothing waits, and then three records', async () => {
    await takeOld();
    const group = `group-${groups}-traces`;
    const lag = async () => {
      const lines = String(await runPeer(['lag', kafka.brokers, group]))
        .trim()
        .split('\n');
      return lines.map((line) => {
        const [name = '', partition = '', committedTo = '', end = ''] = line.split(' ');
        return { name, partition, lag: Number(end) - Number(committedTo) };
      });
    };
    await producer.produce({ topic, partition: 0, records: [recordOf(['a'])] });
    await runArchiver(optionsOf());
    const none = ['0', '1', '2'].map((partition) => ({ name: topic, partition, lag: 0 }));
    expect(await lag()).toEqual(none);
    const records = [recordOf(['b']), recordOf(['c']), recordOf(['d'])];
    await producer.produce({ topic, partition: 1, records });
    expect(await lag()).toEqual(none.with(1, { name: topic, partition: '1', lag: 3 }));
  }, 120_000);

  it('keeps its partitions while a flush takes longer than its session', async () => {
    await takeOld();
    const lines: string[] = [];
    const note = (_fields: object, message: string) => void lines.push(message);
    const sessionMs = 2000;
    // Every file takes twice the session to store.
    const slow = new Proxy(bucket.store, {
      get(store, name: keyof ObjectStore) {
        const method = store[name].bind(store) as (...values: unknown[]) => unknown;
        if (name !== 'put') return method;
        return async (key: string, ...rest: unknown[]) => {
          if (key.startsWith('signal=')) await delay(2 * sessionMs);
          return method(key, ...rest);
        };
      },
    });
    for (const partition of [0, 1, 2]) {
      await producer.produce({ topic, partition, records: [recordOf([`slow ${partition}`])] });
    }
    const report = await runArchiver(
      optionsOf(
        { store: slow, log: { info: note, warn: note, debug: () => undefined } },
        { KAFKA_SESSION_MS: String(sessionMs) },
      ),
    );
    expect(report).toMatchObject({ commits: 3, rows: 3 });
    expect(lines.filter((line) => /rebalanc|not aware|Cannot|first/.test(line))).toEqual([]);
  }, 120_000);

  it('waits for a topic that does not exist, and archives the others meanwhile', async () => {
    const report = await runArchiver(optionsOf({ signals: ['traces', 'logs'] }));
    expect(report.rows).toBeGreaterThan(0);
  });

  it('holds a backlog many times its bound in bounded memory, in files of full size', async () => {
    await takeOld();
    const names = Array.from({ length: 400 }, (_, index) => `backlog-${index}`);
    for (let at = 0; at < names.length; at += 10) {
      const records = names.slice(at, at + 10).map((name) => recordOf([name, 'x'.repeat(20_000)]));
      await producer.produce({ topic, partition: (at / 10) % 3, compression: 'none', records });
    }
    const vitals = new Vitals(() => Date.now());
    let mostBytes = 0;
    const look = () => {
      const heldBytes = vitals.logs.reduce((sum, log) => sum + log.heldBytes, 0);
      mostBytes = Math.max(mostBytes, heldBytes);
    };
    const looking = setInterval(look, 1);
    const bounds = { TIDEMARK_HELD_BYTES_MAX: '1000000', TIDEMARK_FLUSH_BYTES: '600000' };
    const report = await runArchiver(optionsOf({ vitals }, bounds));
    clearInterval(looking);
    // The bound, and a record of 20 kB of each partition that was taken at it.
    expect(mostBytes).toBeGreaterThan(500_000);
    expect(mostBytes).toBeLessThan(1_070_000);
    expect(report).toMatchObject({ requests: 400, rows: 800 });
    const { names: found, repeated } = await committed();
    expect(repeated).toBe(0);
    expect(found.filter((name) => name.startsWith('backlog-'))).toEqual(names.toSorted());
    // 8 MB in flushes of 600 kB or, where memory ran out, a little less.
    expect(report.commits).toBeLessThanOrEqual(30);
  });

  it('goes on where it was after the broker was killed and came back', async () => {
    await takeOld();
    const stop = new AbortController();
    const running = runArchiver(
      optionsOf({ once: false, signal: stop.signal }, { TIDEMARK_FLUSH_AGE_MS: '0' }),
    );
    const archived = async (name: string) => {
      while (!(await committed()).names.includes(name)) await delay(200);
    };
    await producer.produce({ topic, partition: 0, records: [recordOf(['before the fall'])] });
    await archived('before the fall');
    await kafka.kill();
    await kafka.restart();
    for (const partition of [0, 1, 2]) {
      const records = [recordOf([`after the fall ${partition}`])];
      // The producer's connections have gone down with the broker.
      for (;;) {
        try {
          await producer.produce({ topic, partition, records });
          break;
        } catch {
          await delay(200);
        }
      }
    }
    for (const partition of [0, 1, 2]) await archived(`after the fall ${partition}`);
    stop.abort();
    const report = await running;
    expect(report.rows).toBeGreaterThanOrEqual(4);
    expect((await committed()).repeated).toBe(0);
  }, 120_000);

  // The last one: a broker that is killed cuts its log off before a broken batch when it comes back.
  it('puts every record of a batch that is broken on the disk aside, and goes on', async () => {
    await takeOld();
    const marked = (name: string) => {
      const records = [recordOf([`${name} 0`]), recordOf([`${name} 1`])];
      return producer.produce({ topic, partition: 2, records, compression: 'gzip' });
    };
    const before = await marked('whole before');
    const broken = await marked('broken');
    await marked('whole after');
    await kafka.stop();
    await breakBatch(kafka.directory, broken.firstOffset);
    await kafka.restart();
    const report = await runArchiver(optionsOf());
    expect(report).toMatchObject({ requests: 6, rows: 4 });
    const { names, repeated } = await committed();
    expect(repeated).toBe(0);
    expect(names.filter((name) => name.startsWith('whole'))).toEqual(
      ['after 0', 'after 1', 'before 0', 'before 1'].map((name) => `whole ${name}`),
    );
    const keys = await keysUnder(bucket.store, deadPrefix(topic));
    const reasons = await Promise.all(
      keys
        .filter((key) => key.endsWith('.json'))
        .map(async (key) => JSON.parse(new TextDecoder().decode(await bucket.store.get(key)))),
    );
    const message = expect.stringContaining(
      '(gzip): Cannot take the batch: its checksum is wrong',
    ) as string;
    expect(reasons).toMatchObject(
      [0n, 1n].map((index) => ({
        topic,
        partition: '2',
        offset: String(broken.firstOffset + index),
        code: 'BAD_OTLP',
        message,
      })),
    );
    expect(broken.firstOffset).toBe(before.firstOffset + 2n);
    // What is left of the batch lies beside the reason of its first record.
    expect((await bucket.store.get(keys[0] ?? ''))?.byteLength).toBeGreaterThan(20);
  }, 120_000);
});
