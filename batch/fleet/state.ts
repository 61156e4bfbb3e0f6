/**
 * What a fleet's worker is doing at this moment, for metrics, probes and its last line. The worker writes it
 * down; nothing here decides what is computed.
 */
import { shardMsMax } from '../../schemas/limits/fleet.ts';
import { Silence } from '../../workers/clients/kafka/silence.ts';
import type { TaskEnd } from './execute.ts';

export type EndCounts = Readonly<Record<TaskEnd | 'poison', number>>;

/** The worker's own view of itself. */
export class WorkerState {
  /** Tasks that have ended, by how. */
  readonly ends: Record<TaskEnd | 'poison', number> = {
    done: 0,
    split: 0,
    failed: 0,
    present: 0,
    abandoned: 0,
    foreign: 0,
    returned: 0,
    poison: 0,
  };
  /** Partitions that are ours; tasks that are read and not begun. */
  partitions = 0;
  waiting = 0;
  readonly #now: () => number;
  /** When each task that runs was begun. */
  readonly #running = new Map<object, number>();
  readonly #faults = new Map<string, string>();
  /** Of its fetches of tasks. */
  readonly silence: Silence;
  #hasJoined = false;
  #isStopping = false;

  /** `now` gives the time in ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
    this.silence = new Silence(now);
  }

  /** Tasks that are being worked on. */
  get running(): number {
    return this.#running.size;
  }

  begin(task: object): void {
    this.#running.set(task, this.#now());
  }

  end(task: object): void {
    this.#running.delete(task);
  }

  joined(partitions: number): void {
    this.#hasJoined = true;
    this.partitions = partitions;
    this.fault('kafka', undefined);
  }

  stopping(): void {
    this.#isStopping = true;
  }

  /** What `name` cannot do now, `undefined` when it can again. */
  fault(name: string, message: string | undefined): void {
    if (message === undefined) this.#faults.delete(name);
    else this.#faults.set(name, message);
  }

  get faults(): string[] {
    return [...this.#faults].map(([name, message]) => `${name}: ${message}`);
  }

  /**
   * Tasks that do not end any more, although their threads should have been ended, and tasks that are not
   * read any more; a restart helps.
   */
  stuck(): string[] {
    const since = [...this.#running.values()].filter((ms) => this.#now() - ms > 2 * shardMsMax);
    const complaint = this.silence.complaint();
    const running = since.map((ms) => {
      return `a task has been running for ${Math.round((this.#now() - ms) / 60_000)} minutes`;
    });
    return complaint === undefined ? running : [...running, `tasks: ${complaint}`];
  }

  /** What keeps the worker from its work, empty when it is at it. */
  unready(): string[] {
    const stopping = this.#isStopping ? ['the worker is stopping'] : [];
    return [...stopping, ...(this.#hasJoined ? [] : ['the worker has not joined its group yet'])];
  }
}
