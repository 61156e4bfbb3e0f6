/**
 * A world in which time is a number and everything that takes time is an event: so a schedule of
 * hours runs in milliseconds, and the same seed gives the same schedule. Knows nothing of archives.
 */
import type { Clock } from '../../workers/context.ts';
import { seededRandom } from '../support/random.ts';

/** A schedule that broke a promise, or that did not come to an end. */
export class Violation extends Error {}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** More events than any schedule needs: a loop that makes no progress ends here. */
const eventsMax = 60_000;

export class World {
  nowMs: number;
  events = 0;
  readonly random: () => number;
  /** The last things that happened, for the report of a failure. */
  readonly history: string[] = [];
  readonly #queue: Event[] = [];
  #order = 0;
  #failure: unknown;

  constructor(seed: number, startMs: number) {
    this.random = seededRandom(seed);
    this.nowMs = startMs;
  }

  /** A number in [from, to). */
  between(from: number, to: number): number {
    return from + this.random() * (to - from);
  }

  /** A whole number in [from, to). */
  whole(from: number, to: number): number {
    return Math.floor(this.between(from, to));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.whole(0, items.length)];
    if (item === undefined) throw new Error('Bug: nothing to pick from');
    return item;
  }

  note(text: string): void {
    this.history.push(`${(this.nowMs % 3_600_000).toFixed(0).padStart(7)} ${text}`);
  }

  /** Ends the schedule: nothing happens any more. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  after(delayMs: number, task: () => void): void {
    this.#push({ atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, task });
  }

  /** Resolves when `isDone`, asked after every event, says so. Throws what `fail` was given. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        if (this.#failure) return reject((this.#failure as { error: unknown }).error);
        if (isDone()) return resolve();
        const event = this.#pop();
        if (!event) return reject(new Violation('nothing happens any more, but not all is done'));
        this.events += 1;
        if (this.events > eventsMax) return reject(new Violation('it goes on without an end'));
        this.nowMs = Math.max(this.nowMs, event.atMs);
        try {
          event.task();
        } catch (error) {
          this.fail(error);
        }
        // Asked for in a microtask, so that all other microtasks are done before the next event.
        queueMicrotask(() => process.nextTick(step));
      };
      step();
    });
  }

  #push(event: Event): void {
    const queue = this.#queue;
    let at = queue.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = queue[parent];
      if (!above || isBefore(above, event)) break;
      queue[at] = above;
      at = parent;
    }
    queue[at] = event;
  }

  #pop(): Event | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (!first || !last || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [queue[child], queue[child + 1]];
      if (!left) break;
      if (right && isBefore(right, left)) child += 1;
      const least = queue[child];
      if (!least || isBefore(last, least)) break;
      queue[at] = least;
      at = child;
    }
    queue[at] = last;
    return first;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs === right.atMs ? left.order < right.order : left.atMs < right.atMs;
}

/** A process on a machine of its own, with a clock of its own: it may stop, sleep and wake up. */
export class Machine {
  readonly name: string;
  readonly world: World;
  /** What its clock is ahead of the world's, ms. */
  readonly skewMs: number;
  isAlive = true;
  /** Called when it has crashed. */
  onCrash: () => void = () => undefined;
  /** Called when it falls asleep for so many ms. */
  onSleep: (ms: number) => void = () => undefined;
  /** Until then nothing reaches it: stopped by its system, swapped out, in a long collection. */
  #sleepsUntilMs = 0;
  /** What befalls it when so many more answers have reached it. */
  #fate: { answersLeft: number; readonly strike: () => void } | undefined;

  constructor(name: string, world: World, skewMs: number) {
    this.name = name;
    this.world = world;
    this.skewMs = skewMs;
  }

  /** Never runs again; what it has sent is on its way. */
  crash(): void {
    if (!this.isAlive) return;
    this.world.note(`${this.name} crashes`);
    this.isAlive = false;
    this.onCrash();
  }

  /** Crashes as its `count`-th answer from now is about to reach it. */
  crashAfterAnswers(count: number): void {
    this.#fate = { answersLeft: count, strike: () => this.crash() };
  }

  /** Sleeps as its `count`-th answer from now is about to reach it. */
  sleepAfterAnswers(count: number, ms: number): void {
    this.#fate = { answersLeft: count, strike: () => this.sleepFor(ms) };
  }

  /** Nothing befalls it any more. */
  spare(): void {
    this.#fate = undefined;
  }

  sleepFor(ms: number): void {
    this.world.note(`${this.name} sleeps for ${ms.toFixed(0)} ms`);
    this.#sleepsUntilMs = this.world.nowMs + ms;
    this.onSleep(ms);
  }

  /** Runs `task` on this machine after `delayMs`, unless it is dead by then. */
  deliver(delayMs: number, task: () => void): void {
    this.world.after(delayMs, () => this.#receive(task));
  }

  /** As `deliver`, for what the machine waits for from outside: its fate may strike before it. */
  answer(delayMs: number, task: () => void): void {
    this.deliver(delayMs, () => {
      const fate = this.#fate;
      if (!fate) return task();
      fate.answersLeft -= 1;
      if (fate.answersLeft >= 0) return task();
      this.#fate = undefined;
      fate.strike();
      this.#receive(task);
    });
  }

  #receive(task: () => void): void {
    if (!this.isAlive) return;
    const left = this.#sleepsUntilMs - this.world.nowMs;
    if (left > 0) return this.world.after(left, () => this.#receive(task));
    task();
  }

  readonly clock: Clock = {
    now: () => Math.floor(this.world.nowMs + this.skewMs),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = (): void => {
          signal?.removeEventListener('abort', done);
          resolve();
        };
        signal?.addEventListener('abort', done);
        this.deliver(ms, done);
      }),
  };
}
