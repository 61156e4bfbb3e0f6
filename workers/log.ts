/**
 * The log of one partition: moves what its source holds into Parquet files and commits it. Calls
 * the steps in the order that keeps the archive's promise: nothing lost, nothing twice, whatever
 * moment it or another archiver dies at.
 *
 * One turn: (1) know the head of the log; (2) let the source go on behind it; (3) look at what
 * waits; (4) decode it; (5) store its files; (6) store the commit at the head's next offset, if
 * nobody else has; (7) let the source go on behind that. The head stays in memory between turns.
 * Should it be out of date, step 6 finds that out: the files are dropped, and the next turn begins
 * with the log as it is by then.
 */
import { deadPrefix } from '../schemas/archive.ts';
import type { Commit, CommitFile } from '../schemas/commit.ts';
import { TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits/archive.ts';
import { readHead, readIdleWatermark } from './clients/commits/archive.ts';
import { skewOf } from './clients/store/clock.ts';
import { putCommit, putWatermark, storeDead, storeFiles } from './flush/commit.ts';
import type { Attempt } from './flush/commit.ts';
import type { ArchiveContext } from './context.ts';
import { countFlush, countTimes } from './watch/counters.ts';
import { flushAgeMs, isDue, pauseMs } from './flush/due.ts';
import type { FlushEncoder } from './flush/encode.ts';
import type { Backlog, Source } from './sources/source.ts';
import { takeRecords } from './flush/take.ts';
import type { Taken } from './flush/take.ts';
import type { LogState } from './watch/vitals.ts';

/** How a turn ended, and when to look again: at once, after a pause, or when `changed` aborts. */
export type Turn =
  | { readonly outcome: 'flushed' | 'conflict' }
  /** Nothing to do; `empty` when nothing waits and nothing is on its way. */
  | {
      readonly outcome: 'idle';
      readonly empty: boolean;
      readonly pauseMs: number;
      readonly changed?: AbortSignal;
    };

/** A flush whose files are all made. */
interface Made {
  readonly taken: Taken;
  /** Waits until they are stored. Throws OBJECT_STORE. */
  readonly arrived: () => Promise<void>;
}

/** What a log did until it ended. */
export interface LogReport {
  commits: number;
  requests: number;
  rows: number;
  files: number;
}

export class PartitionLog {
  readonly source: Source;
  readonly report: LogReport = { commits: 0, requests: 0, rows: 0, files: 0 };
  readonly #context: ArchiveContext;
  /** The head of the log as last seen; `undefined` when it has to be read. */
  #head: { readonly commit: Commit | undefined } | undefined;
  #nextOffset: bigint | undefined;
  #watermarkMs = 0;
  #rowsPerByte = 0;
  /** Lowered while a flush's columns do not fit into memory. */
  #recordsMax = limits.flushRecordsMax;
  readonly #oversized = new Set<string>();

  constructor(context: ArchiveContext, source: Source) {
    this.#context = context;
    this.source = source;
  }

  /** Where the log is, as last seen. */
  state(): LogState {
    const { topic, partition } = this.source;
    const { endOffset, waiting, oldestMs, heldBytes } = this.source.position();
    const [nextOffset, watermarkMs] = [this.#nextOffset, this.#watermarkMs];
    const behind = endOffset === undefined ? waiting : Number(endOffset - (nextOffset ?? 0n));
    const lagRecords = Math.max(0, behind);
    const place = { topic, partition, nextOffset, lagRecords, oldestMs, watermarkMs, heldBytes };
    const ageMs = flushAgeMs(partition, this.#context.settings);
    return { ...place, flushAgeMs: ageMs, done: { ...this.report } };
  }

  /**
   * One turn. Throws OBJECT_STORE, CORRUPT_ARCHIVE, CAPACITY and what the source throws; the next
   * turn then begins with reading the head.
   */
  async turn(): Promise<Turn> {
    try {
      const head = this.#head ?? (await this.#findHead());
      this.#head = head;
      const backlog = await this.#look();
      if (this.#isDue(backlog)) return await this.#flush(head.commit, backlog);
      await this.#moveWatermark(backlog);
      const empty = backlog.complete && backlog.count === 0;
      return { outcome: 'idle', empty, ...this.#pause(backlog) };
    } catch (error) {
      this.#head = undefined;
      this.source.suspend();
      throw error;
    }
  }

  /** Steps 1 and 2. */
  async #findHead(): Promise<{ readonly commit: Commit | undefined }> {
    const { store, signal } = this.#context;
    const { topic, partition } = this.source;
    const idleMs = await readIdleWatermark(store, topic, partition, { signal });
    const commit = await readHead(store, topic, partition, { signal });
    await this.source.adopt(commit, { signal });
    this.#nextOffset = BigInt(commit?.nextOffset ?? 0);
    this.#watermarkMs = Math.max(this.#watermarkMs, idleMs ?? 0, commit?.watermarkMs ?? 0);
    return { commit };
  }

  /** Step 3. */
  #look(): Promise<Backlog> {
    const { settings, signal } = this.#context;
    const bounds = { bytesMax: settings.TIDEMARK_FLUSH_BYTES, recordsMax: this.#recordsMax };
    return this.source.look(bounds, { signal });
  }

  #isDue(backlog: Backlog): boolean {
    const { settings, once } = this.#context;
    const { partition } = this.source;
    const { oldestMs } = this.source.position();
    const state = {
      partition,
      oldestMs,
      rowsPerByte: this.#rowsPerByte,
      nowMs: this.#nowMs(),
      once,
    };
    return isDue(backlog, state, settings);
  }

  /** Of the spool, when requests came is known by others' clocks: where ours is behind, by the store's. */
  #nowMs(): number {
    const { clock, store } = this.#context;
    return clock.now() + (this.source.partition === 'spool' ? Math.max(0, skewOf(store)) : 0);
  }

  #pause({ waitingSinceMs, changed }: Backlog) {
    const { settings } = this.#context;
    const place = { partition: this.source.partition, nowMs: this.#nowMs() };
    return { pauseMs: pauseMs(waitingSinceMs, place, settings), ...(changed && { changed }) };
  }

  async #moveWatermark(backlog: Backlog): Promise<void> {
    const { store, signal, once, log } = this.#context;
    const { topic, partition } = this.source;
    const watermarkMs = backlog.watermarkAfter(0);
    const gain = watermarkMs - this.#watermarkMs;
    if (gain <= 0 || (!once && gain < limits.watermarkIntervalMs)) return;
    await putWatermark(store, topic, partition, watermarkMs, { signal });
    this.#watermarkMs = watermarkMs;
    log.debug({ topic, partition, watermarkMs }, 'Moved the watermark of an idle partition');
  }

  async #flush(head: Commit | undefined, backlog: Backlog): Promise<Turn> {
    const { clock, columns } = this.#context;
    const startedMs = clock.now();
    const attempt = this.#attempt(head);
    const stored: CommitFile[] = [];
    // The encoder is the next flush's while the last files of this one are still on their way.
    const made = await columns.use(attempt.signal, (own) =>
      this.#make(attempt, backlog, own, stored),
    );
    if (!made) return this.#yield(stored);
    await this.#arrive(made, stored);
    const { taken } = made;
    const commit = this.#commitOf(attempt, head, backlog, taken, stored);
    const outcome = await this.#commit(commit);
    if (outcome === 'lost') return this.#yield(stored);
    await this.#finish(commit, taken, startedMs);
    return { outcome: 'flushed' };
  }

  #attempt(head: Commit | undefined): Attempt {
    const { signal, topic, partition } = this.source;
    const firstOffset = BigInt(head?.nextOffset ?? 0);
    return { signal, topic, partition, firstOffset, id: this.#context.randomName() };
  }

  /**
   * Step 4, and the beginning of step 5. Adds to `stored` what may be in the store, also when it
   * throws: then no commit of this attempt exists yet, so the files are deleted.
   */
  async #make(
    attempt: Attempt,
    backlog: Backlog,
    encoder: FlushEncoder,
    stored: CommitFile[],
  ): Promise<Made | undefined> {
    const { store, signal, counters } = this.#context;
    const taken = await this.#take(attempt, backlog, encoder);
    if (!taken) return undefined;
    const letters = taken.dead.map(({ record, error }) => ({ ...record, error }));
    try {
      await storeDead(store, attempt.topic, letters, { signal });
      const files = encoder.files();
      return { taken, arrived: await storeFiles(store, attempt, files, stored, { signal }) };
    } catch (error) {
      this.#shrink(error, taken);
      await this.#discard(stored);
      throw error;
    } finally {
      countTimes(counters, attempt.signal, encoder.times);
    }
  }

  /** The end of step 5. Deletes the files when it throws. */
  async #arrive({ arrived }: Made, stored: readonly CommitFile[]): Promise<void> {
    try {
      await arrived();
    } catch (error) {
      await this.#discard(stored);
      throw error;
    }
  }

  #take(attempt: Attempt, backlog: Backlog, encoder: FlushEncoder): Promise<Taken | undefined> {
    const { settings, signal } = this.#context;
    const { topic, partitionNumber } = this.source;
    return takeRecords(backlog, encoder, {
      signal,
      topic,
      partitionNumber,
      firstOffset: attempt.firstOffset,
      rowsMax: settings.TIDEMARK_FLUSH_ROWS,
      pastMaxMs: settings.TIDEMARK_PAST_MAX_MS,
      futureMaxMs: settings.TIDEMARK_FUTURE_MAX_MS,
      oversized: this.#oversized,
    });
  }

  #commitOf(
    attempt: Attempt,
    head: Commit | undefined,
    backlog: Backlog,
    taken: Taken,
    files: CommitFile[],
  ): Commit {
    const { clock, writer, codeVersion } = this.#context;
    return {
      version: 1,
      topic: attempt.topic,
      partition: attempt.partition,
      firstOffset: String(attempt.firstOffset),
      nextOffset: String(taken.nextOffset),
      rows: taken.rows,
      rejected: taken.rejected,
      counts: [...taken.counts],
      files,
      // A promise once made is kept in the log: what breaks it is late data, not an earlier mark.
      watermarkMs: Math.max(backlog.watermarkAfter(taken.count), head?.watermarkMs ?? 0),
      ingestedMaxMs: taken.ingestedMaxMs,
      spoolKeys: backlog.spoolKeys(taken.count),
      writer,
      committedAt: new Date(clock.now()).toISOString(),
      codeVersion,
    };
  }

  /** Step 6. Once it has begun it is not given up at the first sign to stop. */
  #commit(commit: Commit): Promise<'won' | 'lost'> {
    return putCommit(this.#context.store, commit, { signal: this.#context.hardStop });
  }

  /** Step 7. */
  async #finish(commit: Commit, taken: Taken, startedMs: number): Promise<void> {
    const { clock, log, hardStop } = this.#context;
    const elapsedMs = clock.now() - startedMs;
    this.#head = { commit };
    this.#count(commit, taken, elapsedMs);
    this.#rowsPerByte = taken.rows / Math.max(1, taken.bytes);
    this.#recordsMax = limits.flushRecordsMax;
    const { topic, partition, firstOffset, nextOffset, rows, rejected, watermarkMs } = commit;
    const figures = { firstOffset, nextOffset, rows, rejected, watermarkMs };
    const more = { files: commit.files.length, dead: taken.dead.length };
    log.info({ topic, partition, ...figures, ...more, elapsedMs }, 'Committed a flush');
    if (taken.dead.length > 0) this.#warnOfDead(taken);
    await this.source.adopt(commit, { signal: hardStop });
  }

  #warnOfDead({ dead }: Taken): void {
    const { topic, partition } = this.source;
    const reason = dead[0]?.error.message;
    const fields = { topic, partition, requests: dead.length, reason, under: deadPrefix(topic) };
    this.#context.log.warn(fields, 'Set requests aside that cannot be archived');
  }

  #count(commit: Commit, taken: Taken, elapsedMs: number): void {
    this.report.commits += 1;
    this.report.requests += taken.count;
    this.report.rows += commit.rows;
    this.report.files += commit.files.length;
    const flush = { commit, requests: taken.count, dead: taken.dead.length, elapsedMs };
    countFlush(this.#context.counters, this.source.signal, flush);
    this.#nextOffset = BigInt(commit.nextOffset);
    this.#watermarkMs = Math.max(this.#watermarkMs, commit.watermarkMs);
  }

  /** Another archiver has committed at our offset: our files are nobody's. */
  async #yield(stored: readonly CommitFile[]): Promise<Turn> {
    const { counters, log } = this.#context;
    const { signal, topic, partition } = this.source;
    this.#head = undefined;
    counters.commits.inc({ signal, outcome: 'conflict' });
    log.info({ topic, partition, files: stored.length }, 'Another archiver committed first');
    await this.#discard(stored);
    return { outcome: 'conflict' };
  }

  /** Deletes files that no commit can name. Left behind they would cost room, not truth. */
  async #discard(files: readonly CommitFile[]): Promise<void> {
    const { store, log, hardStop } = this.#context;
    const keys = files.map(({ key }) => key);
    try {
      await store.delete(keys, { signal: hardStop });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const hint = 'no reader sees them; "tidemark sweep" deletes them';
      const message = 'Cannot delete the files of a flush that was given up';
      log.warn({ reason, keys: keys.slice(0, 3), files: keys.length, hint }, message);
    }
  }

  /** After a flush that does not fit into memory: half as many requests, then none but one. */
  #shrink(error: unknown, taken: Taken): void {
    if (!(error instanceof TidemarkError)) return;
    if (error.code !== 'CAPACITY' && error.code !== 'THREAD_ENDED') return;
    // What killed a thread may not be the record's fault: it is tried for as long as it takes.
    if (taken.count === 1 && error.code === 'CAPACITY') this.#oversized.add(taken.lastName);
    this.#recordsMax = Math.max(1, Math.floor(taken.count / 2));
    const { topic, partition } = this.source;
    const figures = { topic, partition, recordsMax: this.#recordsMax };
    this.#context.log.warn(figures, 'Flush too large or its thread died; taking fewer requests');
  }
}
