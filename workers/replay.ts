/**
 * The replay: sends what is in the archive as OTLP again, file by file and row group by row group, in
 * the order of the plan. At least once: what was under way when it was killed is sent again, and no
 * more than that. Only reads the archive.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { replayItemsPerRequest, replayRequestsAtOnce } from '../schemas/limits/replay.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import { mapParallel } from './clients/parallel.ts';
import { ArchiveFile } from './clients/parquet/parquet.ts';
import { readRange } from './clients/parquet/range.ts';
import type { RowColumns } from './clients/parquet/rows.ts';
import { Batches } from './replay/batch.ts';
import type { Batch } from './replay/batch.ts';
import { findDuplicates } from './replay/duplicates.ts';
import type { Duplicates } from './replay/duplicates.ts';
import type { Journal, Position } from './replay/journal.ts';
import { rowsOf } from './replay/plan.ts';
import type { ReplayFile, ReplayQuery } from './replay/plan.ts';
import { selectRows } from './replay/select.ts';
import type { Sent } from './replay/send.ts';

const dayMs = 86_400_000;

/** Sends one request, and returns when it was taken; throws when it never will be. */
export type Send = (signal: Signal, request: Uint8Array, tenantId: string) => Promise<Sent>;

export interface ReplayOptions {
  readonly store: ObjectStore;
  readonly query: ReplayQuery;
  /** Leave out items that repeat others of the same day. */
  readonly dedup: boolean;
  readonly journal: Journal;
  /** `undefined`: count what would be sent. */
  readonly send: Send | undefined;
  /** Waits until so many more items may be sent. */
  readonly pace: (items: number) => Promise<void>;
  /** @default replayItemsPerRequest */
  readonly itemsPerRequest?: number;
  /** @default replayRequestsAtOnce */
  readonly requestsAtOnce?: number;
  readonly onProgress: (progress: ReplayProgress) => void;
  readonly signal: AbortSignal;
}

export interface ReplayProgress extends Position {
  /** Rows of the plan that are done with, sent or not. */
  readonly rowsDone: number;
  readonly rowsTotal: number;
}

export interface ReplayReport {
  readonly files: number;
  /** Items that were sent and taken; the receiver's rejected ones are among them. */
  readonly items: number;
  readonly requests: number;
  readonly rejected: number;
  /** The first reason that the receiver gave for rejecting items, since this process began. */
  readonly rejectedMessage: string;
  /** Items left out because they repeat others. */
  readonly duplicates: number;
  /** True when an earlier replay had begun and this one went on. */
  readonly resumed: boolean;
}

/**
 * Sends everything behind the journal's position. Throws what `send` throws, OBJECT_STORE,
 * CORRUPT_ARCHIVE, and the signal's reason; the journal then knows how far it got.
 */
export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  return await new Replay(options).run();
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #files: readonly ReplayFile[];
  readonly #rowsTotal: number;
  #position: Position;
  #rowsDone = 0;
  #message = '';

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#files = options.journal.files;
    this.#position = options.journal.position;
    this.#rowsTotal = this.#files.reduce((sum, file) => sum + rowsOf(file), 0);
  }

  async run(): Promise<ReplayReport> {
    const first = this.#position;
    for (const file of this.#files.slice(0, first.file)) this.#rowsDone += rowsOf(file);
    let day: number[] = [];
    for (let index = first.file; index < this.#files.length; index += day.length) {
      day = this.#sameDay(index);
      const duplicates = this.#options.dedup ? await this.#duplicates(index) : undefined;
      for (const at of day) await this.#file(at, duplicates);
    }
    const { items, requests, rejected, duplicates } = this.#position;
    return {
      files: this.#files.length,
      items,
      requests,
      rejected,
      duplicates,
      rejectedMessage: this.#message,
      resumed: first.file + first.rowGroup + first.rows > 0,
    };
  }

  /** Indexes of the files from `index` on that are of its signal and day. */
  #sameDay(index: number): number[] {
    const day = dayOf(this.#files[index]);
    const indexes: number[] = [];
    for (let at = index; dayOf(this.#files[at]) === day && at < this.#files.length; at += 1) {
      indexes.push(at);
    }
    return indexes;
  }

  /** Those of the whole day, also when a part of it is done already. */
  #duplicates(index: number): Promise<Duplicates> {
    const { store, query, signal } = this.#options;
    const day = dayOf(this.#files[index]);
    const files = this.#files.filter((file) => dayOf(file) === day);
    return findDuplicates(store, files, { query, signal });
  }

  async #file(index: number, duplicates: Duplicates | undefined): Promise<void> {
    const { store, signal } = this.#options;
    const file = this.#files[index];
    if (!file) throw new Error(`Bug: the plan has no file ${index}`);
    signal.throwIfAborted();
    const repeats = duplicates?.get(file.key);
    const opened = await ArchiveFile.open(readRange(store, { signal }), file.key, file.bytes);
    try {
      const resumeAt = this.#position.file === index ? this.#position.rowGroup : 0;
      let firstRow = 0;
      for (const [rowGroup, rows] of file.rowGroups.entries()) {
        if (rowGroup >= resumeAt) {
          const [columns] = await opened.read([rowGroup]);
          if (!columns) throw new Error('Bug: a row group was not read');
          await this.#rowGroup(file, columns, { index, rowGroup, firstRow, repeats });
        }
        this.#rowsDone += rows;
        firstRow += rows;
        this.#report();
      }
    } finally {
      opened.close();
    }
    await this.#move({ file: index + 1, rowGroup: 0, rows: 0 });
  }

  async #rowGroup(file: ReplayFile, columns: RowColumns, place: Place): Promise<void> {
    const { query, itemsPerRequest = replayItemsPerRequest } = this.#options;
    const { index, rowGroup } = place;
    const asked = selectRows(file.signal, columns, query);
    const rows = asked.filter((row) => !isMarked(place.repeats, place.firstRow + row));
    const at = this.#position;
    const isHere = at.file === index && at.rowGroup === rowGroup;
    const done = isHere ? at.rows : 0;
    if (rows.length > 0) {
      const batches = new Batches(file.signal, columns, rows);
      let wave: Batch[] = [];
      for (const batch of batches.all(done, itemsPerRequest)) {
        wave.push(batch);
        if (wave.length < this.#requestsAtOnce) continue;
        await this.#wave(file, wave, place);
        wave = [];
      }
      if (wave.length > 0) await this.#wave(file, wave, place);
    }
    const duplicates = this.#position.duplicates + asked.length - rows.length;
    this.#position = {
      ...this.#position,
      file: index,
      rowGroup: rowGroup + 1,
      rows: 0,
      duplicates,
    };
  }

  get #requestsAtOnce(): number {
    return this.#options.requestsAtOnce ?? replayRequestsAtOnce;
  }

  /** Sends some batches at once, and remembers them when all are taken. */
  async #wave(file: ReplayFile, wave: readonly Batch[], place: Place): Promise<void> {
    const results = await mapParallel(wave, wave.length, (batch) => this.#send(file, batch));
    const sum = (of: (result: Result) => number): number =>
      results.reduce((total, result) => total + of(result), 0);
    const { items, requests, rejected } = this.#position;
    await this.#move({
      file: place.index,
      rowGroup: place.rowGroup,
      rows: wave.at(-1)?.end ?? 0,
      items: items + sum((result) => result.items),
      requests: requests + sum((result) => result.requests),
      rejected: rejected + sum((result) => result.rejected),
    });
    this.#report();
  }

  async #move(to: Partial<Position>): Promise<void> {
    this.#position = { ...this.#position, ...to };
    await this.#options.journal.write(this.#position);
  }

  async #send(file: ReplayFile, batch: Batch): Promise<Result> {
    const { send, pace, signal } = this.#options;
    const { items } = batch;
    if (!send) return { items, requests: 1, rejected: 0 };
    await pace(items);
    signal.throwIfAborted();
    const sent = await this.#named(file, () => send(file.signal, batch.request(), batch.tenantId));
    if (sent.outcome === 'taken') {
      if (this.#message === '') this.#message = sent.message;
      return { items, requests: 1, rejected: sent.rejected };
    }
    const halves = batch.halves();
    if (!halves) throw tooLarge(file, batch.request().length);
    const [left, right] = [await this.#send(file, halves[0]), await this.#send(file, halves[1])];
    return {
      items,
      requests: left.requests + right.requests,
      rejected: left.rejected + right.rejected,
    };
  }

  /** Says in a fault which file's items could not be sent. */
  async #named(file: ReplayFile, send: () => Promise<Sent>): Promise<Sent> {
    try {
      return await send();
    } catch (cause) {
      if (!(cause instanceof TidemarkError)) throw cause;
      const { code, message, retryable } = cause;
      throw new TidemarkError(code, `${message} (items of "${file.key}")`, { cause, retryable });
    }
  }

  #report(): void {
    const [rowsDone, rowsTotal] = [this.#rowsDone, this.#rowsTotal];
    this.#options.onProgress({ ...this.#position, rowsDone, rowsTotal });
  }
}

/** A row group of the plan. */
interface Place {
  readonly index: number;
  readonly rowGroup: number;
  /** Rows of the file before it. */
  readonly firstRow: number;
  readonly repeats: Uint8Array | undefined;
}

interface Result {
  readonly items: number;
  readonly requests: number;
  readonly rejected: number;
}

function dayOf(file: ReplayFile | undefined): string {
  return file ? `${file.signal} ${Math.floor(file.hourMs / dayMs)}` : '';
}

function isMarked(bits: Uint8Array | undefined, row: number): boolean {
  return bits !== undefined && ((bits[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}

function tooLarge(file: ReplayFile, bytes: number): TidemarkError {
  const text = `Cannot send an item of "${file.key}": the receiver refuses its ${bytes} bytes`;
  return new TidemarkError('SINK_FAILED', `${text} (HTTP 413)`);
}

/**
 * A function that spaces items out: the n-th item waits until n / itemsPerSecond. It returns at once
 * where there is no rate.
 */
export function pacer(
  itemsPerSecond: number | undefined,
  now: () => number,
  sleep: (ms: number) => Promise<void>,
): (items: number) => Promise<void> {
  if (itemsPerSecond === undefined) return () => Promise.resolve();
  let freeMs = now();
  return async (items) => {
    const startMs = Math.max(now(), freeMs);
    freeMs = startMs + (items / itemsPerSecond) * 1000;
    if (startMs > now()) await sleep(startMs - now());
  };
}
