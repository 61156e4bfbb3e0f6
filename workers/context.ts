/** What every part of the archiver is given to work with. Types only. */
import type { Signal } from '../schemas/archive.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import type { ArchiveCounters } from './watch/counters.ts';
import type { FlushEncoder } from './flush/encode.ts';

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
  | 'TIDEMARK_ATTRIBUTES_MAX'
  | 'TIDEMARK_FLUSH_ROWS'
  | 'TIDEMARK_FLUSH_BYTES'
  | 'TIDEMARK_FLUSH_AGE_MS'
  | 'TIDEMARK_SPOOL_FLUSH_AGE_MS'
  | 'TIDEMARK_ARCHIVE_POLL_MS'
>;

/** Lends what encodes flushes, to a bounded number at a time: `flush/columns.ts` or `flush/threads.ts`. */
export interface EncoderLender {
  /** Runs `task` with an empty flush once its turn has come. Throws what it throws. */
  use<T>(signal: Signal, task: (encoder: FlushEncoder) => Promise<T>): Promise<T>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** Shared by all partitions of one archiver. */
export interface ArchiveContext {
  readonly store: ObjectStore;
  readonly settings: ArchiverSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: ArchiveCounters;
  readonly columns: EncoderLender;
  /** Sixteen random hexadecimal digits. */
  readonly randomName: () => string;
  /** Ends the archiver: a flush whose commit is not yet being written is given up. */
  readonly signal: AbortSignal;
  /** Aborts `archiverStopMsMax` after `signal`: bounds the commit and its deletes. */
  readonly hardStop: AbortSignal;
  /** Archive what waits now, whatever its age, then end. */
  readonly once: boolean;
  /** This archiver's name, and the code's: both written into commits. */
  readonly writer: string;
  readonly codeVersion: string;
}
