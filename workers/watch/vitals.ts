/**
 * What an archiver's loops are doing at this moment, for metrics, probes and progress. The loops
 * write it down; nothing here decides what is archived.
 */
import { turnMsMax } from '../../schemas/limits/archive.ts';
import type { Reading } from '../clients/kafka/consumer.ts';
import { Silence } from '../clients/kafka/silence.ts';

/** Where the log of one partition is. */
export interface LogState {
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** Offset of the next record to be committed; `undefined` while the log is not known yet. */
  readonly nextOffset: bigint | undefined;
  /** Records, or spool objects, that are not committed yet, as far as is known. */
  readonly lagRecords: number;
  /** When the oldest of them that is known was received, ms since 1970. */
  readonly oldestMs: number | undefined;
  /** All that was received before this time (ms since 1970) is committed; 0 when nothing is known. */
  readonly watermarkMs: number;
  readonly heldBytes: number;
  /** How long its records wait for company at most, ms. */
  readonly flushAgeMs: number;
  /** What this archiver has archived of it. */
  readonly done: Done;
}

/** What an archiver has archived since its start. */
export interface Done {
  readonly requests: number;
  readonly rows: number;
  readonly files: number;
  readonly commits: number;
}

/** Of a topic: not asked for yet, not in Kafka, about to be read, or read as a member of its group. */
export type TopicState = 'unknown' | 'absent' | 'joining' | 'joined';

interface Loop {
  readonly state: () => LogState;
  /** Since when its current turn goes on; `undefined` between two turns. */
  busySinceMs: number | undefined;
}

/** The archiver's own view of itself; one for each run. */
export class Vitals {
  readonly #now: () => number;
  readonly #loops = new Set<Loop>();
  readonly #topics = new Map<string, TopicState>();
  readonly #silences = new Map<string, Silence>();
  /** Why the last try of a partition or topic failed, by its name. */
  readonly #faults = new Map<string, string>();
  /** Of the loops that have ended. */
  #done: Done = { requests: 0, rows: 0, files: 0, commits: 0 };
  #isStoreProbed = false;
  #isStopping = false;

  /** `now` gives the time in ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The logs that are being written now. */
  get logs(): LogState[] {
    return [...this.#loops].map(({ state }) => state());
  }

  /** All that was archived, by logs that are another archiver's now as well. */
  get done(): Done {
    return this.logs.reduce((sum, { done }) => added(sum, done), this.#done);
  }

  storeProbed(): void {
    this.#isStoreProbed = true;
  }

  stopping(): void {
    this.#isStopping = true;
  }

  topic(name: string, state: TopicState): void {
    this.#topics.set(name, state);
    if (state !== 'joining') this.fault(name, undefined);
  }

  /** What the member of a topic's group says of its fetches. */
  reads(topic: string, reading: Reading): void {
    const silence = this.#silences.get(topic) ?? new Silence(this.#now);
    this.#silences.set(topic, silence);
    silence.hear(reading);
  }

  /** What `name` (a partition, a topic, the store) cannot do now, `undefined` when it can again. */
  fault(name: string, message: string | undefined): void {
    if (message === undefined) this.#faults.delete(name);
    else this.#faults.set(name, message);
  }

  /**
   * A loop that takes turns of one log, for as long as `work` runs. `work` gets a function that runs
   * one turn under watch.
   */
  async watch(
    state: () => LogState,
    work: (turn: <T>(task: () => Promise<T>) => Promise<T>) => Promise<void>,
  ): Promise<void> {
    const loop: Loop = { state, busySinceMs: undefined };
    this.#loops.add(loop);
    try {
      await work(async (task) => {
        loop.busySinceMs = this.#now();
        try {
          return await task();
        } finally {
          loop.busySinceMs = undefined;
        }
      });
    } finally {
      this.#loops.delete(loop);
      const { topic, partition, done } = state();
      this.#done = added(this.#done, done);
      this.fault(`${topic}/${partition}`, undefined);
    }
  }

  /**
   * Loops that do not turn any more, and topics that are ours to read and say nothing; empty when the
   * process is well. A restart would help.
   */
  stuck(): string[] {
    const now = this.#now();
    const silent = [...this.#silences].flatMap(([topic, silence]) => {
      const complaint = silence.complaint();
      return complaint === undefined ? [] : [`${topic}: ${complaint}`];
    });
    const busy = [...this.#loops].flatMap(({ state, busySinceMs }) => {
      if (busySinceMs === undefined || now - busySinceMs <= turnMsMax) return [];
      const { topic, partition } = state();
      const seconds = Math.round((now - busySinceMs) / 1000);
      return [`${topic}/${partition} has been in one turn for ${seconds} s`];
    });
    return [...busy, ...silent];
  }

  /** What cannot be done now and is tried again. */
  get faults(): string[] {
    return [...this.#faults].map(([name, message]) => `${name}: ${message}`);
  }

  /** What keeps the archiver from its work, empty when it is at it. A restart would not help. */
  unready(): string[] {
    const store = this.#isStoreProbed ? [] : ['the object store has not been probed yet'];
    const kafka = [...this.#topics].flatMap(([name, state]) =>
      state === 'joined' || state === 'absent' ? [] : [`${name} is not being read yet`],
    );
    const stopping = this.#isStopping ? ['the archiver is stopping'] : [];
    return [...stopping, ...store, ...kafka];
  }
}

function added(a: Done, b: Done): Done {
  return {
    requests: a.requests + b.requests,
    rows: a.rows + b.rows,
    files: a.files + b.files,
    commits: a.commits + b.commits,
  };
}
