/**
 * Runs inserts whose data lies in files. Asynchronous inserts of one statement that come at the same
 * time go in as one insert (one part); if that fails, each is run alone, so that a bad body spoils
 * no other. Every body is parsed as a file of its own: a cut row never runs into the next body.
 */
import { rm } from 'node:fs/promises';
import {
  asyncInsertBodiesMax,
  asyncInsertBytesMax,
  asyncInsertGapMs,
  asyncInsertTokensMax,
} from '../../schemas/limits/dev.ts';
import type { Engine, EngineResult } from './engine.ts';
import { quoteText } from './request.ts';
import type { Statement } from './statement.ts';

export interface InsertJob {
  readonly statement: Statement;
  readonly setup: readonly string[];
  readonly dataPath: string;
  readonly dataBytes: number;
}

interface Waiting {
  readonly job: InsertJob;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Group {
  readonly waiting: Waiting[];
  /** Before this time the next flush does not begin. */
  nextFlushMs: number;
  isRunning: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Runs inserts on an engine. Data files are removed once they are in or refused. */
export class Inserter {
  readonly #engine: Engine;
  readonly #nowMs: () => number;
  readonly #groups = new Map<string, Group>();
  /** Outcomes of inserts that had a token, oldest first. */
  readonly #tokens = new Map<string, Promise<void>>();

  /** `nowMs` is a clock that never goes back. */
  constructor(engine: Engine, nowMs: () => number) {
    this.#engine = engine;
    this.#nowMs = nowMs;
  }

  /** Inserts one body at once. Throws `ClickHouseError`; then no row of it is in. */
  async insert(job: InsertJob): Promise<EngineResult> {
    try {
      return await this.#run([job]);
    } finally {
      await rm(job.dataPath, { force: true });
    }
  }

  /**
   * Inserts one body with others of its kind. Throws as `insert` does. A body whose `token` went in
   * before, or is about to, is not inserted again: its outcome is that of the first. Tokens are
   * remembered as long as this process lives, the newest `asyncInsertTokensMax` of them.
   */
  async insertTogether(job: InsertJob, token?: string): Promise<void> {
    const key = JSON.stringify([job.statement.text, job.statement.settingsClause, job.setup]);
    if (token === undefined) return this.#enqueue(key, job);
    const name = JSON.stringify([key, token]);
    const first = this.#tokens.get(name);
    if (first !== undefined) {
      await rm(job.dataPath, { force: true });
      return first;
    }
    const done = this.#enqueue(key, job);
    this.#tokens.set(name, done);
    done.catch(() => this.#tokens.delete(name));
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= asyncInsertTokensMax) break;
      this.#tokens.delete(oldest);
    }
    return done;
  }

  async #enqueue(key: string, job: InsertJob): Promise<void> {
    const group = this.#groups.get(key) ?? {
      waiting: [],
      nextFlushMs: -Infinity,
      isRunning: false,
      timer: undefined,
    };
    this.#groups.set(key, group);
    await new Promise<void>((resolve, reject) => {
      group.waiting.push({ job, resolve, reject });
      this.#schedule(key, group);
    });
  }

  /**
   * At once if the last flush began long enough ago, else when that is so. One flush runs at a
   * time: the higher the load, the more bodies merge, because an insert costs much and a row little.
   */
  #schedule(key: string, group: Group): void {
    if (group.timer !== undefined || group.isRunning) return;
    const waitMs = Math.max(0, group.nextFlushMs - this.#nowMs());
    group.timer = setTimeout(() => {
      group.timer = undefined;
      group.isRunning = true;
      group.nextFlushMs = this.#nowMs() + asyncInsertGapMs;
      void this.#flush(takeBatch(group.waiting)).finally(() => {
        group.isRunning = false;
        if (group.waiting.length > 0) this.#schedule(key, group);
        else this.#forgetLater(key, group);
      });
    }, waitMs);
  }

  /** A group stays while its last flush still matters to the next one's time. */
  #forgetLater(key: string, group: Group): void {
    setTimeout(() => {
      const isIdle = group.waiting.length === 0 && group.timer === undefined && !group.isRunning;
      if (isIdle && this.#groups.get(key) === group) this.#groups.delete(key);
    }, asyncInsertGapMs).unref();
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#run(batch.map(({ job }) => job));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(error);
      else await this.#runAlone(batch);
    }
    await Promise.all(batch.map(({ job }) => rm(job.dataPath, { force: true })));
  }

  async #runAlone(batch: readonly Waiting[]): Promise<void> {
    for (const { job, resolve, reject } of batch) {
      try {
        await this.#run([job]);
        resolve();
      } catch (error) {
        reject(error);
      }
    }
  }

  async #run(jobs: readonly InsertJob[]): Promise<EngineResult> {
    const [first] = jobs;
    if (first === undefined) throw new Error('Bug: an insert without a body');
    const { statement, setup } = first;
    const files = filesOf(jobs.map(({ dataPath }) => dataPath));
    const format = statement.format ?? 'Values';
    const sql = `${statement.text} FROM INFILE ${files} ${statement.settingsClause} FORMAT ${format}`;
    return this.#engine.run({ sql, format, setup, keepsSession: true, lane: 'insert' });
  }
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const { job } of waiting) {
    if (count > 0 && bytes + job.dataBytes > asyncInsertBytesMax) break;
    if (count >= asyncInsertBodiesMax) break;
    bytes += job.dataBytes;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** One path, or ClickHouse's `{a,b}` pattern for several. Only the last part of paths may differ. */
function filesOf(paths: readonly string[]): string {
  const [first = ''] = paths;
  if (paths.length === 1) return quoteText(first);
  const directory = first.slice(0, first.lastIndexOf('/') + 1);
  return quoteText(`${directory}{${paths.map((path) => path.slice(directory.length)).join(',')}}`);
}
