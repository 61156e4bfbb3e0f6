/**
 * Has the shards of a run computed by a fleet: publishes them as tasks, looks in the store for what has become
 * of them, and tries again what failed. Computes nothing and keeps nothing: killed and started again, it finds
 * the partials that are there and goes on with the rest.
 */
import { KafkaError, TidemarkError } from '../../schemas/errors.ts';
import { shardSplitsMax, shardTriesMax } from '../../schemas/limits/batch.ts';
import * as limits from '../../schemas/limits/fleet.ts';
import { partialKey, partialPrefix, type Shard, type ShardReport } from '../../schemas/shard.ts';
import {
  attemptKey,
  failureKey,
  idText,
  parseFailure,
  parseSplit,
  partialOfStart,
  splitKey,
  storedShardKey,
  type ShardTask,
} from '../../schemas/task.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';
import { mergeOptions } from '../plan/computation.ts';
import { shardFailed, stopped } from '../pool/fault.ts';
import type { ShardRequest, ShardRunner } from '../pool/runner.ts';
import { Channel, type TaskPlace } from './channel.ts';
import type { FleetOptions } from './options.ts';
import { beat, deleteTasks, storeShard } from './stored.ts';
import { groupOf, loadFleetCode, type FleetCode } from './version.ts';

/**
 * Runs shards on the workers of a fleet. Beside what `ShardRunner` says, it throws `KafkaError` when Kafka
 * refuses us, or cannot be reached at first; and OBJECT_STORE.
 */
export function fleetRunner(options: FleetOptions): ShardRunner {
  return async (request) => {
    if (request.shards.length === 0) return [];
    const { kafka, settings, clock } = options;
    const code = await loadFleetCode();
    const channel = await Channel.open(kafka, settings, clock.now);
    const coordinator = new Coordinator({ ...options, request, code, channel });
    try {
      return await coordinator.run();
    } finally {
      await coordinator.leave();
      await channel.close();
    }
  };
}

interface RunOptions extends FleetOptions {
  readonly request: ShardRequest;
  readonly code: FleetCode;
  readonly channel: Channel;
}

/** A shard that has no partial yet. */
interface Open {
  readonly shard: Shard;
  readonly key: string;
  readonly splits: number;
  tryNumber: number;
  /** Not before this time, ms since 1970, its task is published. */
  dueMs: number;
  /** Where its task lies; `undefined` while it waits to be published. */
  place: TaskPlace | undefined;
  /** Times that its task was dealt with, and nothing came of it. */
  losses: number;
  /** Somebody has begun it, as the last look has shown. */
  isBegun: boolean;
}

class Coordinator {
  readonly #options: RunOptions;
  readonly #attempt: string;
  readonly #groupId: string;
  readonly #startedMs: number;
  readonly #open = new Map<string, Open>();
  readonly #reports: ShardReport[] = [];
  #shardCount: number;
  #splits = 0;
  #beatMs = 0;
  /** Since when Kafka has not answered; `undefined` while it does. */
  #awaySinceMs: number | undefined;
  #checkMs = 0;
  #reportMs = 0;

  constructor(options: RunOptions) {
    const { request, clock, settings, code, random } = options;
    this.#options = options;
    this.#attempt = `${hex32(random())}${hex32(random())}`;
    this.#groupId = groupOf(settings, code);
    this.#startedMs = clock.now();
    [this.#checkMs, this.#reportMs] = [this.#startedMs, this.#startedMs];
    this.#shardCount = request.shards.length;
    for (const shard of request.shards) this.#add(shard, 0);
  }

  /** Reports of all shards by key. */
  async run(): Promise<ShardReport[]> {
    const { clock, request, store } = this.#options;
    const { signal, computation } = request;
    for (;;) {
      if (signal?.aborted === true) throw stopped(signal.reason);
      await this.#beat();
      const lookedMs = clock.now();
      // Asked before the look: what has been dealt with by then shows in it.
      const progress = await this.#check();
      await this.#look(progress);
      if (this.#open.size === 0) break;
      await this.#publish();
      this.#report();
      await clock.sleep(this.#pauseMs(clock.now() - lookedMs), signal);
    }
    await deleteTasks(store, computation.name).catch((error: unknown) => this.#shrug(error));
    return this.#reports.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  }

  /** Nobody waits for this attempt any more. */
  async leave(): Promise<void> {
    const { store, request } = this.#options;
    const key = attemptKey(request.computation.name, this.#attempt);
    await store.delete([key]).catch((error: unknown) => this.#shrug(error));
  }

  #add(shard: Shard, splits: number): void {
    const key = partialKey(this.#options.request.computation.name, shard);
    const begin = { tryNumber: 1, dueMs: 0, place: undefined, losses: 0, isBegun: false };
    this.#open.set(key, { shard, key, splits, ...begin });
  }

  async #beat(): Promise<void> {
    const { store, clock, request, name } = this.#options;
    const nowMs = clock.now();
    if (nowMs - this.#beatMs < limits.attemptBeatMs) return;
    this.#beatMs = nowMs;
    const attempt = { computation: request.computation.name, attempt: this.#attempt };
    await beat(store, attempt, { aliveMs: nowMs, coordinator: name });
  }

  /** What is in the store of all shards. */
  async #look(progress: ReadonlyMap<number, bigint> | undefined): Promise<void> {
    const { store, request } = this.#options;
    const computation = request.computation.name;
    const found = new Map<string, number>();
    const begun = new Set<string>();
    for await (const page of store.list(partialPrefix(computation))) {
      for (const { key, bytes } of page) {
        const started = partialOfStart(key);
        if (started === undefined) found.set(key, bytes);
        else begun.add(started);
      }
    }
    for (const open of this.#open.values()) {
      open.isBegun = begun.has(open.key);
      await this.#settle(open, found);
    }
    if (progress) this.#findLost(progress);
  }

  async #settle(open: Open, found: ReadonlyMap<string, number>): Promise<void> {
    const { request } = this.#options;
    const computation = request.computation.name;
    const { key, shard, tryNumber } = open;
    const bytes = found.get(key);
    if (bytes !== undefined) {
      this.#open.delete(key);
      const report = { key, bytes };
      this.#reports.push(report);
      request.onDone(report, this.#shardCount);
      return;
    }
    const parts = splitKey(computation, shard);
    if (found.has(parts)) return this.#split(open, parts);
    const failed = failureKey(shard, { computation, attempt: this.#attempt, tryNumber });
    if (found.has(failed)) await this.#retry(open, failed);
  }

  async #split(open: Open, key: string): Promise<void> {
    const splits = open.splits + 1;
    if (splits > shardSplitsMax) {
      const reason = `it is still too large after ${shardSplitsMax} splits`;
      throw await this.#fail(open, reason);
    }
    const parts = parseSplit(key, await this.#text(key), open.shard);
    this.#open.delete(open.key);
    this.#shardCount += parts.length - 1;
    this.#splits += 1;
    // The look comes to them too: an earlier attempt may have left their partials.
    for (const part of parts) this.#add(part, splits);
  }

  async #retry(open: Open, key: string): Promise<void> {
    const { request, clock, settings } = this.#options;
    const { worker, reason, retryable } = parseFailure(key, await this.#text(key));
    const told = `${reason} (worker ${worker})`;
    if (!retryable || open.tryNumber >= shardTriesMax) throw await this.#fail(open, told);
    request.onRetry(open.shard, told);
    open.tryNumber += 1;
    open.place = undefined;
    open.dueMs = clock.now() + settings.TIDEMARK_TASK_RETRY_MS;
  }

  /** The error of a run that cannot succeed; what it was about lies in the topic of dead letters. */
  async #fail(open: Open, reason: string): Promise<TidemarkError> {
    const { channel, name } = this.#options;
    const error = shardFailed({ shard: open.shard, tries: open.tryNumber }, reason);
    const value = Buffer.from(JSON.stringify(this.#taskOf(open)));
    await channel
      .bury({ value, reason: error.message, origin: name })
      .catch((fault: unknown) => this.#shrug(fault));
    return error;
  }

  /**
   * A task that the workers have dealt with, although nothing came of it, is lost: the coordinator was asleep
   * and taken for dead, or the topic has forgotten it. It is published again.
   */
  #findLost(progress: ReadonlyMap<number, bigint>): void {
    const { log } = this.#options;
    for (const open of this.#open.values()) {
      const { place } = open;
      if (!place || place.offset >= (progress.get(place.partition) ?? 0n)) continue;
      open.place = undefined;
      open.losses += 1;
      log.warn({ shard: open.shard.index, losses: open.losses }, 'A task got lost');
    }
  }

  /** Sends the tasks that are due. Kafka may be away for a while: then they stay due. */
  async #publish(): Promise<void> {
    const { clock, log } = this.#options;
    const nowMs = clock.now();
    const due = [...this.#open.values()].filter((open) => !open.place && open.dueMs <= nowMs);
    const lost = due.find(({ losses }) => losses > limits.taskLossesMax);
    if (lost) {
      const reason = `its task was lost ${lost.losses} times; see the topic of dead letters`;
      throw await this.#fail(lost, reason);
    }
    try {
      await mapParallel(due, limits.fleetStoreCallsAtOnce, (open) => this.#store(open));
      const parts = Map.groupBy(due, (open) => this.#partitionOf(open));
      for (const [partition, opens] of parts) await this.#send(partition, opens);
    } catch (error) {
      if (!(error instanceof KafkaError) || !error.retryable) throw error;
      log.warn({ reason: error.message }, 'Cannot publish tasks now; will try again');
    }
  }

  async #send(partition: number, opens: readonly Open[]): Promise<void> {
    const places = await this.#options.channel.send(
      partition,
      opens.map((open) => this.#taskOf(open)),
    );
    for (const [index, open] of opens.entries()) open.place = places[index];
  }

  #store({ shard }: Open): Promise<string> {
    const { store, request, settings } = this.#options;
    const { name, of, period } = request.computation;
    const merge = { ...mergeOptions(settings, period) };
    return storeShard(store, { computation: name, signal: of, period: period.name, merge, shard });
  }

  /**
   * The same for every attempt, so that a task of a coordinator that was killed and that of its successor
   * come to one worker, which computes one of them; another one for another try.
   */
  #partitionOf({ shard, key, tryNumber, splits }: Open): number {
    const { channel, request } = this.#options;
    const base = splits === 0 ? shard.index : hashOf(key);
    return channel.partitionOf(hashOf(request.computation.name) + base + tryNumber);
  }

  #taskOf({ shard, tryNumber }: Open): ShardTask {
    const { request, code, clock } = this.#options;
    const computation = request.computation.name;
    return {
      version: 1,
      codeVersion: code.version,
      computation,
      attempt: this.#attempt,
      tryNumber,
      shardKey: storedShardKey(computation, shard),
      idFrom: idText(shard.idFrom),
      idTo: idText(shard.idTo),
      publishedAt: new Date(clock.now()).toISOString(),
    };
  }

  async #text(key: string): Promise<string> {
    return Buffer.from((await this.#options.store.get(key)) ?? []).toString();
  }

  /** How far the workers are, from time to time; `undefined` in between, and while Kafka is away. */
  async #check(): Promise<ReadonlyMap<number, bigint> | undefined> {
    const { clock, channel, log, settings } = this.#options;
    const nowMs = clock.now();
    if (nowMs - this.#checkMs < limits.fleetCheckMs) return undefined;
    this.#checkMs = nowMs;
    try {
      const members = await channel.admin.members(this.#groupId);
      if (members === 0) {
        const hint = `start \`tidemark batch worker\` of this version with the same KAFKA_BROKERS`;
        const fields = { group: this.#groupId, topic: settings.TIDEMARK_TASK_TOPIC, hint };
        log.warn(fields, 'No worker is there to compute shards; waits for one');
      }
      const progress = await channel.progress(this.#groupId);
      this.#awaySinceMs = undefined;
      return progress;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      log.warn({ reason: error.message }, 'Cannot ask Kafka how far the workers are');
      this.#assertNotGone(nowMs, error);
      return undefined;
    }
  }

  /** Shards that workers have in hand are computed without Kafka; but not for ever. */
  #assertNotGone(nowMs: number, cause: KafkaError): void {
    this.#awaySinceMs ??= nowMs;
    const awayMs = nowMs - this.#awaySinceMs;
    if (awayMs <= limits.fleetAwayMsMax) return;
    const done = `${this.#reports.length} of ${this.#shardCount} shards`;
    const message =
      `Cannot finish the batch: Kafka has been away for ${Math.round(awayMs / 60_000)} minutes. ` +
      `${done} are computed and stay; run again when it is back. ${cause.message}`;
    throw new TidemarkError('BATCH_FAILED', message, { cause, retryable: true });
  }

  #report(): void {
    const { clock, log, request } = this.#options;
    const nowMs = clock.now();
    if (nowMs - this.#reportMs < limits.fleetReportMs) return;
    this.#reportMs = nowMs;
    const open = [...this.#open.values()];
    const fields = {
      computation: request.computation.name,
      of: request.computation.of,
      done: this.#reports.length,
      shards: this.#shardCount,
      begun: open.filter(({ isBegun }) => isBegun).length,
      retriesWait: open.filter(({ dueMs, place }) => !place && dueMs > nowMs).length,
      splits: this.#splits,
      seconds: Math.round((nowMs - this.#startedMs) / 1000),
    };
    log.info(fields, 'The fleet computes');
  }

  /** Short at first, so that small runs are quick; long in the end, so that looks stay few. */
  #pauseMs(lookMs: number): number {
    const waitedMs = this.#options.clock.now() - this.#startedMs;
    const wanted = Math.max(waitedMs * limits.lookPauseShare, lookMs * limits.lookTimeFactor);
    return Math.min(limits.lookPauseMsMax, Math.max(limits.lookPauseMsMin, wanted));
  }

  /** A fault of something that only tidies up. */
  #shrug(error: unknown): void {
    this.#options.log.warn({ err: error }, 'Cannot tidy up behind the fleet');
  }
}

function hashOf(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at += 1) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(at)) >>> 0;
  }
  return hash;
}

function hex32(fraction: number): string {
  return Math.floor(fraction * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}
