/** Asks Kafka where the partitions of the signals' topics begin and end. Only reads. */
import { topics } from '../../../schemas/archive.ts';
import type { Kafka } from './kafka.ts';

/** What Kafka has of one partition. */
export interface PartitionEnds {
  readonly topic: string;
  readonly partition: string;
  /** Offset of the oldest record that is still there. */
  readonly lowOffset: bigint;
  /** Offset of the next record that will be written. */
  readonly endOffset: bigint;
}

/** The partitions of those of our topics that exist. Throws `KafkaError`. */
export async function readEnds(kafka: Kafka): Promise<PartitionEnds[]> {
  const admin = await kafka.openAdmin();
  try {
    const known = await admin.topics();
    const ends: PartitionEnds[] = [];
    for (const topic of Object.values(topics).filter((name) => known.includes(name))) {
      for (const { partition, low, high } of await admin.offsets(topic)) {
        ends.push({ topic, partition: String(partition), lowOffset: low, endOffset: high });
      }
    }
    return ends;
  } finally {
    await admin.close();
  }
}
