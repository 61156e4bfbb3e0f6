/**
 * Answers one v3 request: reads records while they come, and writes a report for each in their order.
 * The conductor of splitter and dialect; holds a bounded number of records, and reads no further
 * while the reader of the reports is slow.
 */
import { on } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { RestError, TidemarkError } from '../../schemas/errors.ts';
import { gatewayStreamRecordsMax } from '../../schemas/limits/kafka.ts';
import type { GatewayRecord, Outcome, Reservation } from './record.ts';
import { errorReport, readRecord, reportOf } from './report.ts';
import type { ReportContext } from './report.ts';
import { Splitter } from './split.ts';

export interface StreamOptions {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly reservation: Reservation;
  readonly context: ReportContext;
  readonly recordBytesMax: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Never rejects. */
  readonly store: (record: GatewayRecord) => Promise<Outcome>;
  /** Ends the reading; what was read is still stored and reported. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the last report is written. Throws `RestError` before anything is written, when the
 * stream has no record.
 */
export async function answerStream(options: StreamOptions): Promise<void> {
  await new Stream(options).run();
}

class Stream {
  readonly #options: StreamOptions;
  readonly #splitter: Splitter;
  /** The reports so far, written in order. */
  #written: Promise<void> = Promise.resolve();
  #waiting = 0;
  #hasRecords = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#splitter = new Splitter(options.recordBytesMax);
  }

  async run(): Promise<void> {
    const { message, response, signal } = this.#options;
    try {
      const marks = { signal, close: ['end', 'close'], highWaterMark: 4, lowWaterMark: 1 };
      for await (const [chunk] of on(message, 'data', marks)) await this.#take(chunk as Buffer);
      if (!this.#splitter.isComplete) {
        throw new RestError(400, 400, 'The stream ended within a record');
      }
    } catch (error) {
      this.#refuseRest(error);
    }
    if (!this.#hasRecords) throw new RestError(400, 400, 'The stream has no record');
    await this.#written;
    response.end();
  }

  async #take(chunk: Buffer): Promise<void> {
    const { reservation } = this.#options;
    if (!reservation.grow(chunk.length)) {
      throw new RestError(429, 429, 'The gateway holds as much as it may; try again');
    }
    for (const object of this.#splitter.push(chunk)) {
      this.#report(this.#store(object), object.length);
      if (this.#waiting >= gatewayStreamRecordsMax) await this.#written;
    }
  }

  /** The report on one record. */
  async #store(object: Buffer): Promise<string> {
    const { store, now, context } = this.#options;
    try {
      const record = readRecord(object, now());
      return reportOf(record, await store(record.record), context);
    } catch (error) {
      if (error instanceof TidemarkError) return errorReport(error);
      throw error;
    }
  }

  /** Nothing more is read; the report says why, in its place. */
  #refuseRest(error: unknown): void {
    const isStopping = error instanceof Error && error.name === 'AbortError';
    if (error instanceof RestError) this.#report(errorReport(error), 0);
    // A connection that broke has nobody to tell.
    else if (!isStopping && !this.#options.message.destroyed) throw error;
    else if (isStopping) this.#hasRecords = true;
  }

  #report(report: string | Promise<string>, bytes: number): void {
    this.#hasRecords = true;
    this.#waiting += 1;
    this.#written = this.#writeAfter(this.#written, report, bytes);
    // Awaited at the end; until then a rejection is not unhandled.
    this.#written.catch(() => undefined);
  }

  async #writeAfter(
    earlier: Promise<void>,
    report: string | Promise<string>,
    bytes: number,
  ): Promise<void> {
    await earlier;
    await this.#write(await report);
    this.#waiting -= 1;
    this.#options.reservation.shrink(bytes);
  }

  async #write(report: string): Promise<void> {
    const { response } = this.#options;
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
    if (response.destroyed || response.write(report)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        response.off('drain', go).off('close', go);
        resolve();
      };
      response.on('drain', go).on('close', go);
    });
  }
}
