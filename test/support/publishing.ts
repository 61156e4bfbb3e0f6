/**
 * Random histories of publishing, as data: what arrives live, runs that are published insert by insert,
 * several at once, crashes, re-runs, rollbacks, backfills and runs that are dropped; and what readers have
 * to see after each of them. It knows no table.
 */

/** What has periods: hours of traces, and days of each signal. */
export type Kind = 'traces day' | 'traces hour' | 'logs day' | 'metrics day';

const kinds: readonly Kind[] = ['traces day', 'traces hour', 'logs day', 'metrics day'];

export interface Run {
  readonly kind: Kind;
  /** `2026-11-20`, or `2026-11-20T23` for an hour. */
  readonly period: string;
  readonly runId: string;
  /** Items of each of its rows. */
  readonly rows: readonly number[];
}

/** A row that makes a run current. */
export interface Naming {
  readonly run: Run;
  readonly isFinal: boolean;
  readonly publishedMs: number;
  readonly watermarkMs: number;
}

export type Event =
  | { readonly what: 'arrive'; readonly signal: string; readonly times: readonly string[] }
  /** One of the inserts of a run, by number. */
  | { readonly what: 'insert'; readonly run: Run; readonly part: number }
  | { readonly what: 'name'; readonly naming: Naming }
  | { readonly what: 'drop'; readonly run: Run };

/** What readers see of a period. */
export interface Seen {
  readonly period: string;
  readonly layer: 'batch' | 'realtime';
  readonly runId: string;
  readonly isFinal: boolean;
  readonly watermarkMs: number;
  readonly items: number;
}

export interface HistoryOptions {
  readonly random: () => number;
  readonly days: readonly string[];
  readonly steps: number;
  /** Inserts of one run before the row that names it. */
  readonly parts: number;
}

/** Also the first and the last moment of a day, and of an hour. */
const clocks = ['00:00:00.000000000', '00:59:59.999999999', '12:34:56.789', '23:59:59.999999999'];

/** The state of the world, as readers have to see it. */
export class World {
  readonly #live = new Map<string, number>();
  readonly #current = new Map<string, Naming>();

  apply(event: Event): void {
    if (event.what === 'name') {
      const { kind, period } = event.naming.run;
      this.#current.set(`${kind} ${period}`, event.naming);
    } else if (event.what === 'arrive') {
      for (const time of event.times) {
        this.#count(`${event.signal} day ${time.slice(0, 10)}`);
        this.#count(`${event.signal} hour ${time.slice(0, 13)}`);
      }
    }
  }

  #count(key: string): void {
    this.#live.set(key, (this.#live.get(key) ?? 0) + 1);
  }

  currentRun(kind: Kind, period: string): string | undefined {
    return this.#current.get(`${kind} ${period}`)?.run.runId;
  }

  /** Every period that has anything, in order. */
  seen(kind: Kind): Seen[] {
    const keys = new Set([...this.#live.keys(), ...this.#current.keys()]);
    const own = [...keys].filter((key) => key.startsWith(`${kind} `)).toSorted();
    return own.map((key): Seen => {
      const period = key.slice(kind.length + 1);
      const naming = this.#current.get(key);
      if (naming === undefined) {
        const live = { layer: 'realtime', runId: '', isFinal: false, watermarkMs: 0 } as const;
        return { period, ...live, items: this.#live.get(key) ?? 0 };
      }
      const { run, isFinal, watermarkMs } = naming;
      const items = run.rows.reduce((sum, row) => sum + row, 0);
      return { period, layer: 'batch', runId: run.runId, isFinal, watermarkMs, items };
    });
  }
}

/** A history of so many events. Several runs may be under way at once, each at its own insert. */
export function* history({ random, days, steps, parts }: HistoryOptions): Generator<Event> {
  const below = (bound: number) => Math.floor(random() * bound);
  const pick = <T>(from: readonly T[]) => from[below(from.length)];
  const world = new World();
  const published: Run[] = [];
  const writing: { readonly run: Run; part: number }[] = [];
  let publishedMs = Date.UTC(2026, 10, 25);
  // Two runs may be published within one millisecond; then the greater id counts, as in batch_current.
  const name = (run: Run): Event => {
    publishedMs += 1 + below(5);
    const watermarkMs = publishedMs - below(1e9);
    return { what: 'name', naming: { run, isFinal: below(2) === 0, publishedMs, watermarkMs } };
  };
  for (let step = 0; step < steps; step += 1) {
    const chance = random();
    let event: Event | undefined;
    if (chance < 0.2) {
      const times = Array.from({ length: 1 + below(9) }, () => `${pick(days)} ${pick(clocks)}`);
      const signal = pick(['traces', 'logs', 'metrics']) ?? '';
      event = { what: 'arrive', signal, times: times.map((time) => time.replace(' ', 'T')) };
    } else if (chance < 0.35) {
      const again = pick(published);
      if (again !== undefined) event = name(again);
    } else if (chance < 0.42) {
      const old = pick(
        published.filter((run) => world.currentRun(run.kind, run.period) !== run.runId),
      );
      if (old !== undefined) {
        published.splice(published.indexOf(old), 1);
        event = { what: 'drop', run: old };
      }
    } else if (chance < 0.65 || writing.length === 0) {
      const day = pick(days) ?? '';
      const some = pick(kinds) ?? 'traces day';
      const any = some.endsWith('hour') ? `${day}T${pick(['00', '12', '23'])}` : day;
      // Half of them run again what has been published.
      const again = below(2) === 0 ? pick(published) : undefined;
      const { kind, period } = again ?? { kind: some, period: any };
      const rows = Array.from({ length: 1 + below(3) }, () => 1 + below(1000));
      writing.push({ run: { kind, period, runId: `run-${step}`, rows }, part: 0 });
    } else if (chance < 0.7) {
      // A crash: what it wrote stays, and nothing names it.
      writing.splice(below(writing.length), 1);
    } else {
      const writer = pick(writing);
      if (writer !== undefined && writer.part < parts) {
        event = { what: 'insert', run: writer.run, part: writer.part };
        writer.part += 1;
      } else if (writer !== undefined) {
        writing.splice(writing.indexOf(writer), 1);
        published.push(writer.run);
        event = name(writer.run);
      }
    }
    if (event === undefined) continue;
    world.apply(event);
    yield event;
  }
}
