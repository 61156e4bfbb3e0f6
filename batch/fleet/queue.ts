/**
 * The tasks that a worker holds, by partition: which is next, and how far a partition is done, whatever
 * the order in which its tasks end. Data only: it reads no topic and computes nothing.
 */
import type { KafkaRecord } from '../../workers/clients/kafka/consumer.ts';

/** A record that was taken out to be worked on. */
export interface HeldTask {
  readonly partition: number;
  readonly record: KafkaRecord;
}

interface Partition {
  readonly number: number;
  /** Not begun yet, oldest first. */
  readonly waiting: HeldTask[];
  /** Begun and not ended. */
  readonly begun: Set<HeldTask>;
  /** Behind the last record that was read. */
  nextOffset: bigint;
}

export class TaskQueue {
  /** In the order of their turns: the one that was served last comes last. */
  readonly #partitions = new Map<number, Partition>();

  /** The partition is ours, and is read from `offset` on. */
  assign(number: number, offset: bigint): void {
    this.#partitions.set(number, { number, waiting: [], begun: new Set(), nextOffset: offset });
  }

  /** The partition is another worker's: what waits is forgotten, what has begun is not ours to tell. */
  revoke(number: number): void {
    this.#partitions.delete(number);
  }

  /** Takes what was read of a partition that is ours; of another one it takes nothing. */
  add(number: number, records: readonly KafkaRecord[], nextOffset: bigint): void {
    const partition = this.#partitions.get(number);
    if (!partition) return;
    partition.waiting.push(...records.map((record) => ({ partition: number, record })));
    partition.nextOffset = nextOffset;
  }

  /** The next task to begin: the partitions take turns. */
  take(): HeldTask | undefined {
    for (const partition of this.#partitions.values()) {
      const task = partition.waiting.shift();
      if (!task) continue;
      partition.begun.add(task);
      this.#partitions.delete(partition.number);
      this.#partitions.set(partition.number, partition);
      return task;
    }
    return undefined;
  }

  /**
   * The task has ended. Returns the offset that its partition is done up to; `undefined` when the
   * partition is not ours any more, or was taken from us and given back meanwhile.
   */
  end(task: HeldTask): bigint | undefined {
    const partition = this.#partitions.get(task.partition);
    if (!partition?.begun.delete(task)) return undefined;
    const open = [...partition.begun, ...partition.waiting].map(({ record }) => record.offset);
    return open.reduce((least, offset) => (offset < least ? offset : least), partition.nextOffset);
  }

  /** Tasks of a partition that wait. */
  waiting(number: number): number {
    return this.#partitions.get(number)?.waiting.length ?? 0;
  }

  /** Tasks of all partitions that wait. */
  get size(): number {
    return [...this.#partitions.values()].reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  /** Numbers of the partitions that are ours, ascending. */
  get partitions(): number[] {
    return [...this.#partitions.keys()].toSorted((a, b) => a - b);
  }
}
