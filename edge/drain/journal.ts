/**
 * What the drain remembers from one tick to the next, as one small object in R2: cron handlers run
 * in isolates that come and go. It may be lost or overwritten by another drain: then tables are
 * tried sooner, and refused rows once more often.
 */
import { drainStateKey } from '../../schemas/archive.ts';
import { drainBackoffMs, drainBackoffMsMax, drainRefusedMax } from '../../schemas/limits.ts';
import type { Load } from './backlog.ts';
import type { SpoolBucket } from '../spool.ts';

/** The part of an R2 bucket that the journal uses. */
export interface JournalBucket extends SpoolBucket {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

interface Rest {
  /** Ticks in a row in which the table took nothing. */
  readonly failures: number;
  readonly untilMs: number;
}

interface Written {
  readonly tables: Readonly<Record<string, Rest>>;
  /** Refusals by key. */
  readonly refused: Readonly<Record<string, number>>;
  readonly legs: Readonly<Record<string, Load>>;
}

const nothing: Written = { tables: {}, refused: {}, legs: {} };

export class Journal {
  readonly #before: string;
  readonly #tables: Map<string, Rest>;
  readonly #refused: Map<string, number>;
  #legs: Readonly<Record<string, Load>>;

  private constructor(text: string) {
    const written = parse(text);
    this.#before = text;
    this.#tables = new Map(Object.entries(written.tables));
    this.#refused = new Map(Object.entries(written.refused));
    this.#legs = written.legs;
  }

  /** Reads what the last tick wrote. Throws what R2 throws. */
  static async read(bucket: JournalBucket): Promise<Journal> {
    const object = await bucket.get(drainStateKey);
    return new Journal(object === null ? '' : new TextDecoder().decode(await object.arrayBuffer()));
  }

  /** Writes it, if anything has changed. Throws what R2 throws. */
  async write(bucket: JournalBucket): Promise<void> {
    const written: Written = {
      tables: Object.fromEntries(this.#tables),
      refused: Object.fromEntries([...this.#refused].slice(0, drainRefusedMax)),
      legs: this.#legs,
    };
    const text = JSON.stringify(written);
    if (text === (this.#before === '' ? JSON.stringify(nothing) : this.#before)) return;
    await bucket.put(drainStateKey, new TextEncoder().encode(text));
  }

  /** Whether the table is left alone for now. */
  rests(table: string, nowMs: number): boolean {
    return (this.#tables.get(table)?.untilMs ?? 0) > nowMs;
  }

  /** The table took rows, or there were none. */
  tookRows(table: string): void {
    this.#tables.delete(table);
  }

  /** The table took nothing in this tick: its pause doubles. */
  tookNothing(table: string, nowMs: number): void {
    const failures = (this.#tables.get(table)?.failures ?? 0) + 1;
    const pauseMs = Math.min(drainBackoffMsMax, drainBackoffMs * 2 ** Math.min(failures - 1, 30));
    this.#tables.set(table, { failures, untilMs: nowMs + pauseMs });
  }

  /** How often ClickHouse refused the rows of this object. */
  refusals(key: string): number {
    return this.#refused.get(key) ?? 0;
  }

  /** Counts a refusal and returns how many there are. */
  refuse(key: string): number {
    const refusals = this.refusals(key) + 1;
    this.#refused.set(key, refusals);
    return refusals;
  }

  /** Keeps the refusals of objects that are still there. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#refused.keys()) if (!keys.has(key)) this.#refused.delete(key);
  }

  /** What waited in the spool of each leg at the end of the last tick. */
  get legs(): Readonly<Record<string, Load>> {
    return this.#legs;
  }

  set legs(legs: Readonly<Record<string, Load>>) {
    this.#legs = legs;
  }
}

/** Our own writing; anything else counts as nothing. */
function parse(text: string): Written {
  try {
    return { ...nothing, ...(JSON.parse(text) as Partial<Written>) };
  } catch {
    return nothing;
  }
}
