/**
 * A Kafka cluster in memory: partitions with gaps and retention, and a group whose members learn
 * late of what was taken from them. Its clients may be handed a batch with records missing, once.
 */
import { topics } from '../../schemas/archive.ts';
import { KafkaError } from '../../schemas/errors.ts';
import type {
  ConsumeOptions,
  KafkaBatch,
  KafkaConsumer,
  KafkaRecord,
  TopicPartition,
} from '../../workers/clients/kafka/consumer.ts';
import type { Kafka, KafkaAdmin } from '../../workers/clients/kafka/kafka.ts';
import type { Machine, World } from './world.ts';

const topic = topics.traces;
const sessionMs = 10_000;
const fetchRecordsMax = 6;

const unasked = () => Promise.reject(new Error('Bug: nobody asks this'));

class PartitionRecords {
  records: KafkaRecord[] = [];
  oldest = 0;
  next = 0;
  /** Called when there is more. */
  waiting: (() => void)[] = [];
}

export interface ClusterFaults {
  /** Of a fetch: records are missing at its front, once. */
  readonly glitch: number;
  /** Of a question about offsets. */
  readonly refused: number;
}

export class Cluster {
  readonly world: World;
  readonly partitions: PartitionRecords[];
  readonly glitched = new Set<string>();
  faults: ClusterFaults;
  readonly #members = new Map<Machine, Member>();
  #generation = 0;

  constructor(world: World, partitionCount: number, faults: ClusterFaults) {
    this.world = world;
    this.faults = faults;
    this.partitions = Array.from({ length: partitionCount }, () => new PartitionRecords());
  }

  at(partition: number): PartitionRecords {
    const found = this.partitions[partition];
    if (!found) throw new Error(`Bug: no partition ${partition}`);
    return found;
  }

  /** Appends a record behind a gap of `skipped` offsets; returns its offset. */
  append(partition: number, skipped: number, timestampMs: number, value: Uint8Array): number {
    const log = this.at(partition);
    const offset = log.next + skipped;
    const bytes = Buffer.from(value);
    const place = { offset: BigInt(offset), timestampMs };
    log.records.push({ ...place, key: null, value: bytes, headers: {} });
    log.next = offset + 1;
    for (const call of log.waiting.splice(0)) this.world.after(1, call);
    return offset;
  }

  /** Deletes what lies before `offset`. */
  retain(partition: number, offset: number): void {
    const log = this.at(partition);
    log.oldest = Math.max(log.oldest, Math.min(offset, log.next));
    log.records = log.records.filter((record) => Number(record.offset) >= log.oldest);
  }

  /** Shares the partitions out anew among those that the group takes for alive. */
  rebalance(): void {
    const members = [...this.#members.values()];
    this.#generation += 1;
    const generation = this.#generation;
    const first = this.world.whole(0, members.length + 1);
    for (const [index, member] of members.entries()) {
      const partitions = [...this.partitions.keys()].filter(
        (partition) => (partition + first) % members.length === index,
      );
      const slowMs = this.world.chance(0.3) ? 30_000 : 100;
      member.machine.deliver(this.world.between(5, slowMs), () =>
        member.adopt(generation, partitions),
      );
    }
  }

  /** Its group takes the machine for dead after a while, and gives its partitions to others. */
  lose(machine: Machine): void {
    this.world.after(sessionMs, () => {
      if (this.#members.delete(machine)) this.rebalance();
    });
  }

  /** The machine sleeps: its group may take it for dead until it says that it lives. */
  miss(machine: Machine, ms: number): void {
    const member = this.#members.get(machine);
    if (!member || ms < sessionMs) return;
    this.lose(machine);
    machine.deliver(ms + this.world.between(10, 15_000), () => {
      if (member.isStopped || this.#members.get(machine) === member) return;
      member.forget();
      this.#members.set(machine, member);
      this.rebalance();
    });
  }

  leave(machine: Machine): void {
    if (this.#members.delete(machine)) this.rebalance();
  }

  /** The cluster as one machine sees it. */
  client(machine: Machine): Kafka {
    return {
      openProducer: () => Promise.reject(new Error('Bug: nobody produces so')),
      openAdmin: () => this.#call(machine, () => this.#admin(machine)),
      consume: (options) =>
        this.#call(machine, () => {
          const member = new Member(this, machine, options);
          this.#members.set(machine, member);
          if (!machine.isAlive) this.lose(machine);
          this.rebalance();
          return member;
        }),
    };
  }

  #admin(machine: Machine): KafkaAdmin {
    return {
      clusterId: unasked,
      groupReady: unasked,
      createTopics: unasked,
      committed: unasked,
      members: unasked,
      partitions: () => this.#call(machine, () => [...this.partitions.keys()]),
      topics: () => this.#call(machine, () => [topic]),
      offsets: () =>
        this.#call(machine, () =>
          this.partitions.map((log, partition) => ({
            partition,
            low: BigInt(log.oldest),
            high: BigInt(log.next),
          })),
        ),
      close: () => Promise.resolve(),
    };
  }

  #call<T>(machine: Machine, carryOut: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const isRefused = this.world.chance(this.faults.refused);
      this.world.after(this.world.between(1, 30), () => {
        if (isRefused) {
          const fault = new KafkaError('TIMEOUT', 'Cannot ask Kafka', { retryable: true });
          return machine.answer(1000, () => reject(fault));
        }
        const value = carryOut();
        machine.answer(this.world.between(1, 30), () => resolve(value));
      });
    });
  }
}

interface Position {
  readonly partition: number;
  next: number | undefined;
  isPaused: boolean;
  isFetching: boolean;
  /** Counts seeks: what was fetched before one is not handed out after it. */
  seeks: number;
  /** The fetch that waits at the broker for records; asks again when called. */
  parked: (() => void) | undefined;
}

class Member implements KafkaConsumer {
  readonly machine: Machine;
  isStopped = false;
  readonly #cluster: Cluster;
  readonly #options: ConsumeOptions;
  readonly #positions = new Map<number, Position>();
  #generation = 0;

  constructor(cluster: Cluster, machine: Machine, options: ConsumeOptions) {
    this.#cluster = cluster;
    this.machine = machine;
    this.#options = options;
  }

  adopt(generation: number, partitions: readonly number[]): void {
    if (generation < this.#generation || this.isStopped) return;
    this.#generation = generation;
    this.#cluster.world.note(`${this.machine.name} has partitions ${partitions.join(', ')}`);
    for (const partition of this.#positions.keys()) {
      if (!partitions.includes(partition)) this.#revoke(partition);
    }
    for (const partition of partitions) {
      if (!this.#positions.has(partition)) void this.#begin(partition);
    }
    this.#options.handler.joined?.();
  }

  /** Its group had taken it for dead. */
  forget(): void {
    for (const partition of this.#positions.keys()) this.#revoke(partition);
  }

  assignment(): TopicPartition[] {
    return [...this.#positions.keys()].map((partition) => ({ topic, partition }));
  }

  pause({ partition }: TopicPartition): void {
    const position = this.#positions.get(partition);
    if (position) position.isPaused = true;
  }

  resume({ partition }: TopicPartition): void {
    const position = this.#positions.get(partition);
    if (!position) return;
    position.isPaused = false;
    this.#fetch(position);
  }

  seek({ partition }: TopicPartition, offset: bigint): void {
    const position = this.#positions.get(partition);
    if (!position) return;
    position.next = Number(offset);
    position.isPaused = false;
    position.seeks += 1;
    position.parked?.();
    this.#fetch(position);
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.isStopped = true;
    this.forget();
    this.#cluster.leave(this.machine);
    return Promise.resolve();
  }

  #revoke(partition: number): void {
    this.#positions.delete(partition);
    this.#options.handler.revoked({ topic, partition });
  }

  async #begin(partition: number): Promise<void> {
    const position: Position = {
      partition,
      next: undefined,
      isPaused: false,
      isFetching: false,
      seeks: 0,
      parked: undefined,
    };
    this.#positions.set(partition, position);
    const wanted = await this.#options.handler.assigned({ topic, partition });
    if (this.#positions.get(partition) !== position) return;
    position.next ??= Number(wanted);
    this.#fetch(position);
  }

  #fetch(position: Position): void {
    if (position.isPaused || position.isFetching || position.next === undefined) return;
    position.isFetching = true;
    this.#ask(position, position.seeks);
  }

  /** At the broker: answers at once, or when there is something to answer. */
  #ask(position: Position, seeks: number): void {
    const { world } = this.#cluster;
    const log = this.#cluster.at(position.partition);
    world.after(world.between(1, 40), () => {
      if (!this.machine.isAlive || this.isStopped) return;
      const from = Math.max(position.next ?? 0, log.oldest);
      const records = log.records
        .filter((record) => Number(record.offset) >= from)
        .slice(0, fetchRecordsMax);
      const isCurrent = position.seeks === seeks;
      if (isCurrent && records.length === 0 && this.#positions.has(position.partition)) {
        return this.#park(position, log);
      }
      const highWatermark = BigInt(log.next);
      this.machine.answer(world.between(1, 60), () => {
        position.isFetching = false;
        const isOurs = this.#positions.get(position.partition) === position;
        if (!isOurs) return;
        if (position.seeks === seeks && !position.isPaused && records.length > 0) {
          this.#hand(position, records, highWatermark);
        }
        this.#fetch(position);
      });
    });
  }

  #park(position: Position, log: PartitionRecords): void {
    const parked = (): void => {
      if (position.parked !== parked) return;
      position.parked = undefined;
      this.#ask(position, position.seeks);
    };
    position.parked = parked;
    log.waiting.push(parked);
  }

  #hand(position: Position, fetched: readonly KafkaRecord[], highWatermark: bigint): void {
    const { world, faults, glitched } = this.#cluster;
    const { partition } = position;
    const place = `${partition}/${String(fetched[0]?.offset)}`;
    let records = fetched;
    if (fetched.length > 1 && !glitched.has(place) && world.chance(faults.glitch)) {
      glitched.add(place);
      records = fetched.slice(1);
    }
    const nextOffset = (fetched.at(-1)?.offset ?? 0n) + 1n;
    position.next = Number(nextOffset);
    const batch: KafkaBatch = { topic, partition, records, nextOffset, highWatermark };
    void this.#options.handler.records(batch);
  }
}
