/**
 * The archiver: moves what applications sent into Parquet files and commits it, for as long as it
 * is left to run. Each partition that it reads has a log of its own (`log.ts`), which takes turns
 * by itself: a fault of one holds up no other. This conductor starts the logs, spaces their turns,
 * and decides what happens after a fault.
 */
import { Worker } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { archiveColumns, topics } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits.ts';
import * as archiveLimits from '../schemas/limits/archive.ts';
import { assertLogin } from './clients/kafka/kafka.ts';
import type { Kafka } from './clients/kafka/kafka.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import { assertConditionalPut } from './clients/store/probe.ts';
import { SharedColumns } from './flush/columns.ts';
import type { ArchiveContext, ArchiverSettings, Clock, EncoderLender, Log } from './context.ts';
import { takeCensus } from './sources/census.ts';
import { archiveCounters, archiveGauges } from './watch/counters.ts';
import { KafkaFeed } from './sources/feed.ts';
import type { FeedSettings } from './sources/feed.ts';
import { hintOf } from './watch/hint.ts';
import { PartitionLog } from './log.ts';
import type { LogReport } from './log.ts';
import type { ThreadContext } from './flush/message.ts';
import type { Source } from './sources/source.ts';
import { SpoolSource } from './sources/spool.ts';
import { Vitals } from './watch/vitals.ts';
import { EncoderThreads } from './flush/threads.ts';

export interface ArchiverOptions {
  readonly store: ObjectStore;
  /** Where the signals' topics are, if there is a Kafka. The spool is read in any case. */
  readonly kafka?: Kafka;
  readonly settings: ArchiverSettings & FeedSettings;
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
  /** What to archive. @default those that have columns */
  readonly signals?: readonly Signal[];
  /** Archive what waits now, whatever its age, then end. */
  readonly once?: boolean;
  /** Bound on the memory of a flush's columns, in pages of 64 KiB. @default columnWriterPagesMax */
  readonly columnPagesMax?: number;
  /** Worker threads that encode, each a flush at a time. @default 0: this thread does */
  readonly threads?: number;
  /** What encodes flushes, in the place of this thread or others. */
  readonly encoders?: EncoderLender;
  /** Where the metrics go. */
  readonly registry?: Registry;
  /** What is written down of the loops, for probes and progress. */
  readonly vitals?: Vitals;
}

/** What an archiver did until it ended. */
export interface ArchiverReport extends Readonly<LogReport> {
  /** Rows by signal. */
  readonly rowsOf: Readonly<Record<Signal, number>>;
}

/** What a try is for: a partition, a topic, or what all of them need. */
interface Place {
  readonly name: string;
  readonly signal?: Signal;
}

/** The signals that have columns. */
const archivedSignals = (Object.keys(topics) as Signal[]).filter(
  (signal) => archiveColumns[signal].length > 0,
);

/**
 * Runs until `signal` aborts, or with `once` until nothing waits any more. Faults that may pass are
 * logged, counted and tried again; with `once` no more than `requestTriesMax` times in a row, and
 * what no retry heals, such as CORRUPT_ARCHIVE, not at all: the other partitions are still
 * archived, then the first such fault is thrown. At the start throws UNSUPPORTED_STORE when the
 * store lets a second writer win, and OBJECT_STORE when it refuses us.
 */
export async function runArchiver(options: ArchiverOptions): Promise<ArchiverReport> {
  const archiver = new Archiver(options);
  try {
    return await archiver.run();
  } finally {
    await archiver.close();
  }
}

function openEncoders(options: ArchiverOptions): EncoderLender {
  if (options.encoders) return options.encoders;
  const { transcoder, settings, clock, threads = 0 } = options;
  const pagesMax = options.columnPagesMax ?? archiveLimits.columnWriterPagesMax;
  const attributesMax = settings.TIDEMARK_ATTRIBUTES_MAX;
  const bounds = { pagesMax, attributesMax };
  if (threads === 0) return new SharedColumns(transcoder, { ...bounds, ticks: () => clock.now() });
  const workerData: ThreadContext = { transcoder, ...bounds };
  const startThread = () =>
    new Worker(new URL('./flush/thread.ts', import.meta.url), { workerData });
  return new EncoderThreads({ threads, startThread });
}

class Archiver {
  readonly #options: ArchiverOptions;
  readonly #context: ArchiveContext;
  readonly #vitals: Vitals;
  readonly #hardStop = new AbortController();
  /** Aborts with `options.signal`, and after a fault that ends the whole archiver. */
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  /** Of the logs that have ended. */
  readonly #report = {
    commits: 0,
    requests: 0,
    rows: 0,
    files: 0,
    rowsOf: { traces: 0, metrics: 0, logs: 0 },
  };
  /** Faults that ended a log. */
  readonly #faults: unknown[] = [];

  constructor(options: ArchiverOptions) {
    this.#options = options;
    const registry = options.registry ?? new Registry();
    const now = () => options.clock.now();
    this.#vitals = options.vitals ?? new Vitals(now);
    archiveGauges(registry, this.#vitals, now);
    this.#context = {
      ...options,
      counters: archiveCounters(registry),
      columns: openEncoders(options),
      randomName: this.#randomName,
      signal: this.#stop.signal,
      hardStop: this.#hardStop.signal,
      once: options.once ?? false,
      writer: this.#randomName(),
    };
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal.aborted) this.#onAbort();
  }

  async close(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#ended.abort();
    await this.#context.columns.close();
  }

  readonly #randomName = (): string => Buffer.from(this.#options.random(8)).toString('hex');

  readonly #onAbort = (): void => {
    this.#vitals.stopping();
    this.#stop.abort();
    // `sleep` never rejects, so nothing of this chain is left to handle.
    void this.#options.clock
      .sleep(archiveLimits.archiverStopMsMax, this.#ended.signal)
      .then(() => this.#hardStop.abort());
  };

  async run(): Promise<ArchiverReport> {
    const { store, clock } = this.#options;
    const stop = this.#stop.signal;
    const options = { signal: stop };
    const probe = () => assertConditionalPut(store, this.#randomName(), options);
    await this.#retried(probe, stop, { name: 'object store' });
    this.#vitals.storeProbed();
    if (this.#options.kafka) await assertLogin(this.#options.kafka);
    const wanted = this.#options.signals ?? archivedSignals;
    const spools = wanted.map((signal) => new SpoolSource(store, signal, () => clock.now()));
    await Promise.all([
      ...spools.map((source) => this.#archive(source, stop)),
      ...this.#readKafka(wanted),
    ]);
    if (this.#faults.length > 0) throw this.#faults[0];
    return this.#report;
  }

  #readKafka(wanted: readonly Signal[]): Promise<void>[] {
    const { kafka, settings } = this.#options;
    if (!kafka) return [];
    const feed = new KafkaFeed({
      kafka,
      settings,
      context: this.#context,
      archive: (source, revoked) =>
        this.#archive(source, AbortSignal.any([this.#stop.signal, revoked])),
      onState: (topic, state) => this.#vitals.topic(topic, state),
      onFault: (topic, message) => this.#vitals.fault(topic, message),
      onReading: (topic, reading) => this.#vitals.reads(topic, reading),
    });
    const stop = this.#stop.signal;
    for (const signal of wanted) this.#vitals.topic(topics[signal], 'unknown');
    const census = () => takeCensus(kafka, wanted, this.#context);
    return [
      this.#guarded(() => this.#retried(census, stop, { name: 'census' })),
      ...wanted.map((signal) => {
        const place = { name: topics[signal], signal };
        return this.#guarded(() => this.#retried(() => feed.read(signal), stop, place));
      }),
    ];
  }

  /** Takes turns of a source's log until `signal` aborts, or with `once` until it is empty. */
  #archive(source: Source, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const log = new PartitionLog({ ...this.#context, signal }, source);
    const place = { name: `${source.topic}/${source.partition}`, signal: source.signal };
    const work = this.#vitals.watch(
      () => log.state(),
      async (watched) => {
        while (!signal.aborted) {
          const turn = await this.#retried(() => watched(() => log.turn()), signal, place);
          if (turn?.outcome !== 'idle') continue;
          if (turn.empty && this.#context.once) break;
          // A source that can change ends the pause itself when it is closed.
          await clock.sleep(turn.pauseMs, turn.changed ?? signal);
        }
      },
    );
    return this.#guarded(() => work).then(() => this.#addUp(source.signal, log.report));
  }

  /** Never rejects: keeps the fault for the end. A bug of ours is no fault of one partition. */
  async #guarded(task: () => Promise<unknown>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#faults.push(error);
      if (!(error instanceof TidemarkError)) this.#stop.abort();
    }
  }

  /** Does `task` until it succeeds, or `undefined` once `stop` aborts. */
  async #retried<T>(
    task: () => Promise<T>,
    stop: AbortSignal,
    place: Place,
  ): Promise<T | undefined> {
    const { clock } = this.#options;
    for (let failures = 1; !stop.aborted; failures += 1) {
      try {
        const result = await task();
        this.#vitals.fault(place.name, undefined);
        return result;
      } catch (error) {
        if (stop.aborted && error instanceof TidemarkError) {
          const message = 'Stopped in the middle of a flush; the next start takes it up';
          this.#options.log.info({ of: place.name, reason: error.message }, message);
          return undefined;
        }
        if (!this.#mayGoOn(error, failures, place)) throw error;
        await clock.sleep(this.#backoffMs(failures), stop);
      }
    }
    return undefined;
  }

  #mayGoOn(error: unknown, failures: number, { name, signal }: Place): boolean {
    const { once, log } = this.#options;
    if (!(error instanceof TidemarkError)) return false;
    if (error.code === 'CAPACITY') return true;
    if (once && (!error.retryable || failures >= limits.requestTriesMax)) return false;
    // Before anything runs, what no retry heals is told at once. Later it is one partition's, and
    // may be mended while the others go on.
    if (!signal && !error.retryable) return false;
    this.#context.counters.errors.inc({ signal: signal ?? 'none', code: error.code });
    this.#vitals.fault(name, `${error.message} [${error.code}]`);
    const retryInMs = this.#backoffMs(failures);
    const { code, message: reason } = error;
    const fields = { of: name, code, reason, failures, retryInMs, hint: hintOf(error) };
    const message = error.retryable
      ? 'Cannot archive now; will try again'
      : 'Cannot archive until somebody mends this; tries again meanwhile';
    // Where it failed says nothing to who reads this at night, and takes a page a line.
    log.warn(fields, message);
    log.debug({ err: error }, 'Where it failed');
    return true;
  }

  #backoffMs(failures: number): number {
    const doubled = this.#options.settings.TIDEMARK_ARCHIVE_POLL_MS * 2 ** (failures - 1);
    return Math.min(doubled, archiveLimits.archiverBackoffMsMax);
  }

  #addUp(signal: Signal, own: LogReport): void {
    this.#report.commits += own.commits;
    this.#report.requests += own.requests;
    this.#report.rows += own.rows;
    this.#report.files += own.files;
    this.#report.rowsOf[signal] += own.rows;
  }
}
