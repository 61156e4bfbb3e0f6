/**
 * The archiver: moves what waits in the R2 spool into Parquet files and commits it, for as long as
 * it is left to run. Calls the steps (spool → parquet → commit) in the order that keeps the
 * archive's promise: nothing lost, nothing twice, whatever moment it or another archiver dies at.
 *
 * One turn: (1) know the head of the log, (2) delete the spool objects that the head names, before
 * anything new is taken: so whenever a commit is built, the objects of all commits before its head
 * are gone; (3) list what waits, without what the head names; (4) decode it; (5) store its files;
 * (6) store the commit at the head's next offset, if nobody else has; (7) delete what it took.
 * The head stays in memory between turns. Should it be out of date, step 6 finds that out.
 */
import { Registry } from 'prom-client';
import { SpanColumns } from '../aggregator-as/host.ts';
import { topics } from '../schemas/archive.ts';
import type { Commit, CommitFile } from '../schemas/commit.ts';
import { TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits.ts';
import type { Settings } from '../schemas/settings.ts';
import { readHead, readIdleWatermark } from './clients/archive.ts';
import { assertConditionalPut } from './clients/objects.ts';
import type { ObjectStore } from './clients/objects.ts';
import { putCommit, putWatermark, storeDead, storeFiles } from './commit.ts';
import type { Attempt, PendingFile } from './commit.ts';
import { archiveCounters, countCommit } from './counters.ts';
import type { ArchiveCounters } from './counters.ts';
import { encodeParquet } from './parquet.ts';
import { listSpool, takeSpool, watermarkAfter } from './spool.ts';
import type { SpoolListing, Taken } from './spool.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The part of a pino logger that programs use. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export type ArchiverSettings = Pick<
  Settings,
  | 'TIDEMARK_PAST_MAX_MS'
  | 'TIDEMARK_FUTURE_MAX_MS'
  | 'TIDEMARK_FLUSH_ROWS'
  | 'TIDEMARK_FLUSH_BYTES'
  | 'TIDEMARK_FLUSH_AGE_MS'
  | 'TIDEMARK_ARCHIVE_POLL_MS'
>;

export interface ArchiverOptions {
  readonly store: ObjectStore;
  readonly settings: ArchiverSettings;
  /** The compiled `aggregator-as/build/transcode.wasm`. */
  readonly transcoder: WebAssembly.Module;
  readonly clock: Clock;
  /** Random bytes, as `randomBytes` of node:crypto gives them. */
  readonly random: (byteCount: number) => Uint8Array;
  readonly log: Log;
  /** Ends the archiver: a flush whose commit is not yet being written is given up. */
  readonly signal: AbortSignal;
  /** Written into commits. */
  readonly codeVersion: string;
  /** Archive what waits now, whatever its age, then end. */
  readonly once?: boolean;
  /** Bound on the memory of the columns, in pages of 64 KiB. @default columnWriterPagesMax */
  readonly columnPagesMax?: number;
  /** Where the metrics go. */
  readonly registry?: Registry;
}

/** What an archiver did until it ended. */
export interface ArchiverReport {
  readonly commits: number;
  readonly requests: number;
  readonly rows: number;
  readonly files: number;
}

/**
 * Runs until `signal` aborts, or with `once` until the spool is empty. Passing faults are logged,
 * counted and tried again (with `once`: `requestTriesMax` times in a row); others are thrown:
 * UNSUPPORTED_STORE when the store lets a second writer win, CORRUPT_ARCHIVE, and OBJECT_STORE
 * faults that no retry heals, such as a wrong secret.
 */
export async function runArchiver(options: ArchiverOptions): Promise<ArchiverReport> {
  const archiver = new Archiver(options);
  try {
    return await archiver.run();
  } finally {
    archiver.close();
  }
}

const partition = 'spool';
const telemetry = 'traces';
const topic = topics[telemetry];

/** How a turn ended: whether to look again at once, later, or with a fresh head. */
type TurnOutcome = 'flushed' | 'conflict' | 'idle';

class Archiver {
  readonly #options: ArchiverOptions;
  readonly #counters: ArchiveCounters;
  readonly #columns: SpanColumns;
  readonly #writer: string;
  /** Aborts `archiverStopMsMax` after `options.signal`: bounds the commit and its deletes. */
  readonly #hardStop = new AbortController();
  readonly #ended = new AbortController();
  readonly #report = { commits: 0, requests: 0, rows: 0, files: 0 };
  /** The head of the log as last seen; `undefined` when it has to be read. */
  #head: { readonly commit: Commit | undefined } | undefined;
  #watermarkMs = 0;
  #probed = false;
  #rowsPerByte = 0;
  /** Lowered while a batch's columns do not fit into memory. */
  #objectsMax = limits.spoolObjectsPerFlushMax;
  readonly #oversized = new Set<string>();

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#counters = archiveCounters(options.registry ?? new Registry());
    this.#columns = new SpanColumns(options.transcoder, {
      pagesMax: options.columnPagesMax ?? limits.columnWriterPagesMax,
    });
    this.#writer = this.#randomName();
    options.signal.addEventListener('abort', this.#stop, { once: true });
  }

  close(): void {
    this.#options.signal.removeEventListener('abort', this.#stop);
    this.#ended.abort();
  }

  readonly #stop = (): void => {
    const { clock } = this.#options;
    // `sleep` never rejects, so nothing of this chain is left to handle.
    void clock
      .sleep(limits.archiverStopMsMax, this.#ended.signal)
      .then(() => this.#hardStop.abort());
  };

  async run(): Promise<ArchiverReport> {
    const { signal, settings, clock, once } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const outcome = await this.#turn();
        failures = 0;
        if (outcome === 'idle' && once) break;
        if (outcome === 'idle') await clock.sleep(settings.TIDEMARK_ARCHIVE_POLL_MS, signal);
      } catch (error) {
        this.#head = undefined;
        failures += 1;
        if (!this.#mayGoOn(error, failures)) throw error;
        await clock.sleep(this.#backoffMs(failures), signal);
      }
    }
    return this.#report;
  }

  #mayGoOn(error: unknown, failures: number): boolean {
    const { signal, once, log } = this.#options;
    if (!(error instanceof TidemarkError)) return false;
    if (signal.aborted) {
      log.info({ err: error }, 'Stopped in the middle of a flush; the next start takes it up');
      return true;
    }
    if (error.code === 'CAPACITY') return true;
    if (!error.retryable || (once && failures >= limits.requestTriesMax)) return false;
    this.#counters.errors.inc({ code: error.code });
    log.warn({ err: error, failures }, 'Cannot archive now; will try again');
    return true;
  }

  #backoffMs(failures: number): number {
    const doubled = this.#options.settings.TIDEMARK_ARCHIVE_POLL_MS * 2 ** (failures - 1);
    return Math.min(doubled, limits.archiverBackoffMsMax);
  }

  async #turn(): Promise<TurnOutcome> {
    const head = this.#head ?? (await this.#findHead());
    this.#head = head;
    const listing = await this.#list(head.commit);
    if (!this.#isDue(listing)) {
      await this.#moveWatermark(listing);
      return 'idle';
    }
    return this.#flush(head.commit, listing);
  }

  /** Steps 1 and 2. */
  async #findHead(): Promise<{ readonly commit: Commit | undefined }> {
    const { store, signal } = this.#options;
    if (!this.#probed) await assertConditionalPut(store, this.#randomName());
    this.#probed = true;
    const idleMs = await readIdleWatermark(store, topic, partition, { signal });
    const commit = await readHead(store, topic, partition, { signal });
    if (commit) await store.delete(commit.spoolKeys, { signal });
    this.#watermarkMs = Math.max(this.#watermarkMs, idleMs ?? 0, commit?.watermarkMs ?? 0);
    return { commit };
  }

  /** Step 3. */
  async #list(head: Commit | undefined): Promise<SpoolListing> {
    const { store, settings, clock, signal } = this.#options;
    const committed = new Set(head?.spoolKeys);
    const bounds = { bytesMax: settings.TIDEMARK_FLUSH_BYTES, objectsMax: this.#objectsMax };
    const listing = await listSpool(store, topic, committed, bounds, clock.now(), { signal });
    // A slow PUT may bring back an object after its delete, while the log still knows it.
    if (listing.consumed.length > 0) await store.delete(listing.consumed, { signal });
    return listing;
  }

  /** Rows are known only after decoding; before, they are guessed from the flush before. */
  #isDue(listing: SpoolListing): boolean {
    const { settings, clock, once } = this.#options;
    const [oldest] = listing.entries;
    if (!oldest) return false;
    if (once || listing.full) return true;
    if (listing.bytes * this.#rowsPerByte >= settings.TIDEMARK_FLUSH_ROWS) return true;
    return clock.now() - oldest.receivedMs >= settings.TIDEMARK_FLUSH_AGE_MS;
  }

  async #moveWatermark(listing: SpoolListing): Promise<void> {
    const { store, signal, once, log } = this.#options;
    const watermarkMs = watermarkAfter(listing, 0);
    const gain = watermarkMs - this.#watermarkMs;
    if (gain <= 0 || (!once && gain < limits.watermarkIntervalMs)) return;
    await putWatermark(store, topic, partition, watermarkMs, { signal });
    this.#seeWatermark(watermarkMs);
    log.debug({ watermarkMs }, 'Moved the watermark of an idle partition');
  }

  #seeWatermark(watermarkMs: number): void {
    this.#watermarkMs = Math.max(this.#watermarkMs, watermarkMs);
    this.#counters.watermark.set(this.#watermarkMs / 1000);
  }

  async #flush(head: Commit | undefined, listing: SpoolListing): Promise<TurnOutcome> {
    const startedMs = this.#options.clock.now();
    const attempt = this.#attempt(head);
    const stored: CommitFile[] = [];
    try {
      const taken = await this.#take(attempt, listing);
      if (!taken) return await this.#yield(stored);
      await this.#storeAll(attempt, taken, stored);
      const commit = this.#commitOf(attempt, head, listing, taken, stored);
      const outcome = await this.#commit(commit);
      if (outcome === 'lost') return await this.#yield(stored);
      await this.#finish(commit, taken, startedMs);
      return 'flushed';
    } catch (error) {
      this.#shrink(error, listing);
      throw error;
    } finally {
      this.#columns.reset();
    }
  }

  #attempt(head: Commit | undefined): Attempt {
    const firstOffset = BigInt(head?.nextOffset ?? 0);
    return { signal: telemetry, topic, partition, firstOffset, id: this.#randomName() };
  }

  /** Step 4. */
  #take(attempt: Attempt, listing: SpoolListing): Promise<Taken | undefined> {
    const { store, settings, signal } = this.#options;
    this.#columns.reset();
    return takeSpool(store, listing, this.#columns, {
      signal,
      topic,
      firstOffset: attempt.firstOffset,
      rowsMax: settings.TIDEMARK_FLUSH_ROWS,
      pastMaxMs: settings.TIDEMARK_PAST_MAX_MS,
      futureMaxMs: settings.TIDEMARK_FUTURE_MAX_MS,
      oversized: this.#oversized,
    });
  }

  /**
   * Step 5. Adds to `stored` what may be in the store, also when it throws: then no commit of this
   * attempt exists yet, so the files are deleted.
   */
  async #storeAll(attempt: Attempt, taken: Taken, stored: CommitFile[]): Promise<void> {
    const { store, signal } = this.#options;
    const letters = taken.dead.map(({ entry, ...letter }) => ({ ...letter, key: entry.key }));
    try {
      await storeDead(store, topic, letters, { signal });
      await storeFiles(store, attempt, encoded(this.#columns), stored, { signal });
    } catch (error) {
      await this.#discard(stored);
      throw error;
    }
  }

  #commitOf(
    attempt: Attempt,
    head: Commit | undefined,
    listing: SpoolListing,
    taken: Taken,
    files: CommitFile[],
  ): Commit {
    const { clock, codeVersion } = this.#options;
    const watermarkMs = watermarkAfter(listing, taken.entries.length);
    return {
      version: 1,
      topic,
      partition,
      firstOffset: String(attempt.firstOffset),
      nextOffset: String(attempt.firstOffset + BigInt(taken.entries.length)),
      rows: taken.rows,
      rejected: taken.rejected,
      files,
      // A promise once made is kept in the log: what breaks it is late data, not an earlier mark.
      watermarkMs: Math.max(watermarkMs, head?.watermarkMs ?? 0),
      ingestedMaxMs: taken.ingestedMaxMs,
      spoolKeys: taken.entries.map(({ key }) => key),
      writer: this.#writer,
      committedAt: new Date(clock.now()).toISOString(),
      codeVersion,
    };
  }

  /** Step 6. Once it has begun it is not given up at the first sign to stop. */
  #commit(commit: Commit): Promise<'won' | 'lost'> {
    return putCommit(this.#options.store, commit, { signal: this.#hardStop.signal });
  }

  /** Step 7. */
  async #finish(commit: Commit, taken: Taken, startedMs: number): Promise<void> {
    const { store, clock, log } = this.#options;
    this.#head = { commit };
    this.#count(commit);
    this.#rowsPerByte = taken.rows / Math.max(1, taken.bytes);
    this.#objectsMax = limits.spoolObjectsPerFlushMax;
    const { firstOffset, nextOffset, rows, rejected, files, watermarkMs } = commit;
    const elapsedMs = clock.now() - startedMs;
    const figures = { firstOffset, nextOffset, rows, rejected, files: files.length, watermarkMs };
    log.info({ ...figures, dead: taken.dead.length, elapsedMs }, 'Committed a flush');
    await store.delete(commit.spoolKeys, { signal: this.#hardStop.signal });
  }

  #count(commit: Commit): void {
    this.#report.commits += 1;
    this.#report.requests += commit.spoolKeys.length;
    this.#report.rows += commit.rows;
    this.#report.files += commit.files.length;
    countCommit(this.#counters, commit);
    this.#seeWatermark(commit.watermarkMs);
  }

  /** Another archiver has committed at our offset: our files are nobody's. */
  async #yield(stored: readonly CommitFile[]): Promise<TurnOutcome> {
    this.#head = undefined;
    this.#counters.conflicts.inc();
    this.#options.log.info({ files: stored.length }, 'Another archiver committed first');
    await this.#discard(stored);
    return 'conflict';
  }

  /** Deletes files that no commit can name. Left behind they would cost room, not truth. */
  async #discard(files: readonly CommitFile[]): Promise<void> {
    const { store, log } = this.#options;
    const keys = files.map(({ key }) => key);
    try {
      await store.delete(keys, { signal: this.#hardStop.signal });
    } catch (error) {
      log.warn({ err: error, keys }, 'Cannot delete the files of a flush that was given up');
    }
  }

  /** After a batch that does not fit into memory: half as many requests, then none but one. */
  #shrink(error: unknown, { entries }: SpoolListing): void {
    if (!(error instanceof TidemarkError) || error.code !== 'CAPACITY') return;
    const [first] = entries;
    if (entries.length === 1 && first) this.#oversized.add(first.key);
    this.#objectsMax = Math.max(1, Math.floor(entries.length / 2));
    this.#options.log.warn(
      { objectsMax: this.#objectsMax },
      'Flush too large; taking fewer requests',
    );
  }

  #randomName(): string {
    return Buffer.from(this.#options.random(8)).toString('hex');
  }
}

/** The files of all hours, one at a time; none touches the columns' buffers once it is given. */
function* encoded(columns: SpanColumns): Iterable<PendingFile> {
  for (const batch of columns.hours()) {
    const { rows, hourMs, quarantined, timeMinNs, timeMaxNs } = batch;
    yield { rows, hourMs, quarantined, timeMinNs, timeMaxNs, ...encodeParquet(batch) };
  }
}
