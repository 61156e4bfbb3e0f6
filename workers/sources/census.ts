/**
 * Keeps the archive aware of the partitions that Kafka has: one of which nothing is archived yet is
 * registered with the watermark 0, so that no period counts as complete before somebody has read it.
 * Says when Kafka has lost partitions that were archived. Reads no records.
 */
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { registrationText, watermarkKey } from '../../schemas/commit.ts';
import { ConflictError } from '../../schemas/errors.ts';
import { censusIntervalMs, silentPartitionMs } from '../../schemas/limits/archive.ts';
import { listPartitions } from '../clients/commits/archive.ts';
import type { Kafka, KafkaAdmin } from '../clients/kafka/kafka.ts';
import type { CallOptions, ObjectStore } from '../clients/store/objects.ts';
import type { Clock, Log } from '../context.ts';

export interface CensusContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Look only once. */
  readonly once: boolean;
}

/** How the archive and Kafka differ in one topic. */
export interface Differences {
  /** Partitions of Kafka that the archive did not know; it does now. */
  readonly added: readonly string[];
  /** Partitions of the archive that Kafka does not have. */
  readonly missing: readonly string[];
}

/**
 * Compares the archive with Kafka now and every `censusIntervalMs`, until the archiver ends. Throws
 * `KafkaError` and OBJECT_STORE; it may be called again.
 */
export async function takeCensus(
  kafka: Kafka,
  signals: readonly Signal[],
  context: CensusContext,
): Promise<void> {
  const { clock, signal } = context;
  const warned = new Set<string>();
  const admin = await kafka.openAdmin();
  try {
    do {
      const known = await admin.topics();
      for (const one of signals) {
        const numbers = known.includes(topics[one]) ? await admin.partitions(topics[one]) : [];
        const found = await register(context.store, topics[one], numbers, clock.now(), { signal });
        report(topics[one], found, warned, context.log);
      }
      if (!context.once) await clock.sleep(censusIntervalMs, signal);
    } while (!context.once && !signal.aborted);
  } finally {
    await closeQuietly(admin, context.log);
  }
}

/**
 * Registers those partitions of `topic` that the archive does not know, as seen at `nowMs` (ms since
 * 1970). Two listings, and a request for each new one. Throws OBJECT_STORE.
 */
export async function register(
  store: ObjectStore,
  topic: string,
  numbers: readonly number[],
  nowMs: number,
  options: CallOptions = {},
): Promise<Differences> {
  const archived = await listPartitions(store, topic);
  const names = numbers.map(String);
  const added = names.filter((name) => !archived.includes(name));
  for (const partition of added) {
    const text = registrationText(topic, partition, nowMs);
    try {
      const key = watermarkKey(topic, partition, 0);
      await store.put(key, text, { ...options, ifNoneMatch: '*' });
    } catch (error) {
      // Another archiver has seen it, too.
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  const missing = archived.filter((name) => /^\d+$/.test(name) && !names.includes(name));
  return { added, missing };
}

function report(topic: string, found: Differences, warned: Set<string>, log: Log): void {
  const { added, missing } = found;
  if (added.length > 0) {
    log.info({ topic, partitions: added }, 'Kafka has new partitions; the archive waits for them');
  }
  const fresh = missing.filter((partition) => !warned.has(`${topic}/${partition}`));
  if (fresh.length === 0) return;
  for (const partition of fresh) warned.add(`${topic}/${partition}`);
  const days = silentPartitionMs / 86_400_000;
  log.warn(
    {
      topic,
      partitions: fresh,
      hint: `If the topic was deleted, nothing is to be done: they stop holding back periods ${days} days after they were last read. If not, KAFKA_BROKERS names another cluster`,
    },
    'Kafka does not have partitions that were archived from it',
  );
}

async function closeQuietly(admin: KafkaAdmin, log: Log): Promise<void> {
  await admin.close().catch((error: unknown) => {
    log.debug({ err: error }, 'Kafka did not take leave');
  });
}
