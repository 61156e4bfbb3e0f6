/**
 * A worker of the fleet: a member of a consumer group that computes the shards of the tasks in its
 * partitions, a bounded number at a time, for as long as it is left to run. Says that a task has ended
 * only when its result is in the store, so what a dead worker had in hand is another one's by itself.
 */
import type { Registry } from 'prom-client';
import { TidemarkError } from '../../schemas/errors.ts';
import {
  taskFetchBytes,
  tasksHeldPerPartition,
  workerBackoffMs,
  workerBackoffMsMax,
} from '../../schemas/limits/fleet.ts';
import { parseTask, type ParsedTask } from '../../schemas/task.ts';
import type {
  ConsumeHandler,
  KafkaBatch,
  KafkaConsumer,
  Reading,
  TopicPartition,
} from '../../workers/clients/kafka/consumer.ts';
import { startThread } from '../pool/thread.ts';
import { Channel, originOf } from './channel.ts';
import { Executor, type TaskReport } from './execute.ts';
import { Lanes } from './lanes.ts';
import { workerMetrics, type WorkerMetrics } from './metrics.ts';
import type { FleetOptions } from './options.ts';
import { TaskQueue, type HeldTask } from './queue.ts';
import type { EndCounts, WorkerState } from './state.ts';
import { groupOf, loadFleetCode } from './version.ts';

export interface WorkerOptions extends FleetOptions {
  /** Shards computed at the same time, a thread each. */
  readonly concurrency: number;
  readonly registry: Registry;
  /** What is written down of the worker, for probes. */
  readonly state: WorkerState;
  /** Ends the worker: it finishes its shards, or hands them back after `TIDEMARK_TASK_STOP_MS`. */
  readonly signal: AbortSignal;
}

/** What a worker did until it ended. */
export interface WorkerReport {
  readonly tasks: EndCounts;
}

/**
 * Runs until `signal` aborts. Faults that may pass are logged, counted and tried again. Throws
 * `TidemarkError` when Kafka refuses us for good.
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerReport> {
  const { kafka, settings, clock, state } = options;
  const code = await loadFleetCode();
  const metrics = workerMetrics(options.registry, state);
  const patience = new Patience(options, metrics);
  const channel = await patience.until('kafka', () => Channel.open(kafka, settings, clock.now));
  if (!channel) return { tasks: state.ends };
  const groupId = groupOf(settings, code);
  const lanes = new Lanes({
    threads: options.concurrency,
    startThread,
  });
  const executor = new Executor({
    store: options.store,
    settings,
    code,
    lanes,
    now: clock.now,
    random: options.random,
    worker: options.name,
  });
  const member = new Member({ ...options, groupId, channel, executor, metrics, patience });
  try {
    const consumer = await patience.until('kafka', () =>
      kafka.consume({
        groupId,
        topics: [channel.topic],
        sessionMs: settings.KAFKA_SESSION_MS,
        fetchBytesMax: taskFetchBytes,
        handler: member,
      }),
    );
    if (consumer) await member.live(consumer);
  } finally {
    await lanes.close();
    await member.quiet();
    await channel.close();
  }
  return { tasks: state.ends };
}

/** Tries again what the world does not let us do now. */
class Patience {
  readonly #options: WorkerOptions;
  readonly #metrics: WorkerMetrics;

  constructor(options: WorkerOptions, metrics: WorkerMetrics) {
    this.#options = options;
    this.#metrics = metrics;
  }

  /**
   * What `task` returns at last, or `undefined` once the worker is told to stop. Throws what no other
   * try heals, unless `mayHeal` says that a person may.
   */
  async until<T>(
    name: string,
    task: () => Promise<T>,
    mayHeal: (error: TidemarkError) => boolean = ({ retryable }) => retryable,
  ): Promise<T | undefined> {
    const { clock, log, signal, state } = this.#options;
    for (let ms = workerBackoffMs; !signal.aborted; ms = Math.min(2 * ms, workerBackoffMsMax)) {
      try {
        const result = await task();
        state.fault(name, undefined);
        return result;
      } catch (error) {
        if (!(error instanceof TidemarkError) || !mayHeal(error)) throw error;
        this.#metrics.failed(error.code);
        state.fault(name, `${error.message} [${error.code}]`);
        const fields = { of: name, code: error.code, reason: error.message, retryInMs: ms };
        log.warn(fields, 'Cannot go on now; will try again');
        await clock.sleep(ms, signal);
      }
    }
    return undefined;
  }
}

interface Poison {
  readonly end: 'poison';
}

interface MemberOptions extends WorkerOptions {
  readonly groupId: string;
  readonly channel: Channel;
  readonly executor: Executor;
  readonly metrics: WorkerMetrics;
  readonly patience: Patience;
}

/** The worker's part in its group. */
class Member implements ConsumeHandler {
  readonly #options: MemberOptions;
  readonly #queue = new TaskQueue();
  readonly #running = new Set<Promise<void>>();
  readonly #paused = new Set<number>();
  /** Partitions that are ours, each with a token for this time that it is. */
  readonly #ours = new Map<number, object>();
  readonly #ended = Promise.withResolvers<void>();
  #consumer: KafkaConsumer | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
    // It may fail before anybody waits for it.
    this.#ended.promise.catch(() => undefined);
  }

  /** Works until the worker is told to stop; throws what has ended the consumer. */
  async live(consumer: KafkaConsumer): Promise<void> {
    const { signal, state, log } = this.#options;
    this.#consumer = consumer;
    this.#pump();
    const onStop = () => this.#ended.resolve();
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    try {
      await this.#ended.promise;
      state.stopping();
      log.info({ running: this.#running.size }, 'Stops: finishes what it computes, takes no more');
      await this.#finish();
    } finally {
      signal.removeEventListener('abort', onStop);
      // The group hears at once that what has not ended is to be done by others.
      await consumer.stop();
    }
  }

  /** Resolves when nothing is being worked on any more. */
  async quiet(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Gives the shards that are being computed some time. */
  async #finish(): Promise<void> {
    const { clock, settings } = this.#options;
    const enough = new AbortController();
    const late = clock.sleep(settings.TIDEMARK_TASK_STOP_MS, enough.signal);
    await Promise.race([Promise.all(this.#running), late]);
    enough.abort();
  }

  /** Where the group was: what was not ended before is begun again. */
  async assigned({ topic, partition }: TopicPartition): Promise<bigint> {
    const { channel, groupId, patience } = this.#options;
    const token = {};
    this.#ours.set(partition, token);
    const committed = await patience.until('kafka', () => channel.admin.committed(groupId, topic));
    const offset = committed?.get(partition) ?? 0n;
    if (this.#ours.get(partition) === token) this.#queue.assign(partition, offset);
    this.#note();
    return offset;
  }

  joined(): void {
    const { state, log, groupId } = this.#options;
    const partitions = [...this.#ours.keys()].toSorted((a, b) => a - b);
    state.joined(partitions.length);
    log.info({ group: groupId, partitions }, 'Takes tasks of these partitions');
  }

  revoked({ partition }: TopicPartition): void {
    this.#ours.delete(partition);
    this.#queue.revoke(partition);
    this.#paused.delete(partition);
    this.#note();
  }

  records({ topic, partition, records, nextOffset }: KafkaBatch): void {
    this.#queue.add(partition, records, nextOffset);
    if (this.#queue.waiting(partition) >= tasksHeldPerPartition) {
      this.#paused.add(partition);
      this.#consumer?.pause({ topic, partition });
    }
    this.#pump();
  }

  reads(reading: Reading): void {
    this.#options.state.silence.hear(reading);
  }

  failed(error: TidemarkError): void {
    const { metrics, state, log } = this.#options;
    if (!error.retryable) this.#ended.reject(error);
    metrics.failed(error.code);
    state.fault('kafka', `${error.message} [${error.code}]`);
    log.warn({ code: error.code, reason: error.message }, 'Cannot read from Kafka now');
  }

  #note(): void {
    const { state } = this.#options;
    state.partitions = this.#ours.size;
    state.waiting = this.#queue.size;
  }

  #pump(): void {
    const { concurrency, signal } = this.#options;
    // Before the consumer is known, nobody could be told how far we are.
    while (this.#consumer && !signal.aborted && this.#running.size < concurrency) {
      const held = this.#queue.take();
      if (!held) break;
      const running: Promise<void> = this.#work(held)
        .catch((error: unknown) => this.#ended.reject(error))
        .finally(() => {
          this.#running.delete(running);
          this.#resume(held.partition);
          this.#pump();
        });
      this.#running.add(running);
    }
    this.#note();
  }

  #resume(partition: number): void {
    if (!this.#paused.has(partition)) return;
    if (this.#queue.waiting(partition) > tasksHeldPerPartition / 2) return;
    this.#paused.delete(partition);
    this.#consumer?.resume({ topic: this.#options.channel.topic, partition });
  }

  async #work(held: HeldTask): Promise<void> {
    const { clock, metrics, state } = this.#options;
    const startedMs = clock.now();
    state.begin(held);
    let report: TaskReport | Poison | undefined;
    try {
      report = await this.#deal(held);
    } finally {
      state.end(held);
    }
    const ended = report ?? { end: 'returned' };
    state.ends[ended.end] += 1;
    metrics.ended(ended, clock.now() - startedMs);
    // A task that is handed back stays open, so that nobody takes it for done.
    if (ended.end !== 'returned') await this.#commit(held);
  }

  /** What became of the task; `undefined` when we are told to stop before that is known. */
  #deal(held: HeldTask): Promise<TaskReport | Poison | undefined> {
    const { executor, patience, log } = this.#options;
    const { record } = held;
    const parsed: ParsedTask =
      record.fault === undefined
        ? parseTask(record.value)
        : { type: 'poison', reason: `its batch cannot be read: ${record.fault}` };
    if (parsed.type === 'poison') return this.#bury(held, parsed.reason);
    const { task } = parsed;
    const fields = { computation: task.computation, shard: task.shardKey, try: task.tryNumber };
    return patience.until(
      'store',
      async () => {
        try {
          log.debug(fields, 'Begins a task');
          const report = await executor.run(task);
          const { end, reason } = report;
          if (end === 'failed') log.warn({ ...fields, reason }, 'Cannot compute a shard');
          else if (end === 'foreign') log.debug(fields, 'Leaves a task to workers of another code');
          else log.info({ ...fields, end }, 'Ended a task');
          return report;
        } catch (error) {
          // No other try reads it better.
          if (!(error instanceof TidemarkError) || error.code !== 'CORRUPT_ARCHIVE') throw error;
          return await this.#bury(held, error.message);
        }
      },
      () => true,
    );
  }

  async #bury(held: HeldTask, reason: string): Promise<Poison | undefined> {
    const { channel, patience, log } = this.#options;
    const { partition, record } = held;
    const origin = originOf(channel.topic, partition, record);
    log.warn({ origin, reason }, 'Puts a record aside that is no task');
    return patience.until(
      'kafka',
      async () => {
        await channel.bury({ value: record.value, reason, origin });
        return { end: 'poison' } as const;
      },
      () => true,
    );
  }

  /** Nobody is harmed when it fails: the task is then found to be present. */
  async #commit(held: HeldTask): Promise<void> {
    const { channel, log } = this.#options;
    const offset = this.#queue.end(held);
    if (offset === undefined) return;
    const place = { topic: channel.topic, partition: held.partition };
    try {
      await this.#consumer?.commit(place, offset);
    } catch (error) {
      log.debug({ err: error, ...place }, 'Cannot tell Kafka how far the tasks are');
    }
  }
}
