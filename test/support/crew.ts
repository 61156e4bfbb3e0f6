/** Workers and coordinators of a batch fleet in this process, on a real Kafka and a real bucket. */
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { fleetRunner } from '../../batch/fleet/coordinate.ts';
import type { FleetClock, FleetOptions } from '../../batch/fleet/options.ts';
import { WorkerState } from '../../batch/fleet/state.ts';
import { runWorker, type WorkerReport } from '../../batch/fleet/worker.ts';
import type { ShardRunner } from '../../batch/pool/runner.ts';

export interface RunningWorker {
  readonly lines: string[];
  readonly state: WorkerState;
  stop(): Promise<WorkerReport>;
}

/** What all of a crew share; time is the machine's unless something else is given. */
export type CrewOptions = Pick<FleetOptions, 'kafka' | 'store' | 'settings'>;

export const realClock: FleetClock = {
  now: () => Date.now(),
  sleep: (ms, signal) => pause(ms, undefined, signal && { signal }).catch(() => undefined),
};

export class Crew {
  readonly #options: CrewOptions;
  readonly #workers: RunningWorker[] = [];

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** A worker of one thread that has joined its group. */
  async start(more: Partial<FleetOptions['settings']> = {}): Promise<RunningWorker> {
    const stopping = new AbortController();
    const lines: string[] = [];
    const state = new WorkerState(realClock.now);
    const running = runWorker({
      ...this.#given(lines),
      settings: { ...this.#options.settings, ...more },
      name: `worker ${this.#workers.length + 1}`,
      concurrency: 1,
      registry: new Registry(),
      state,
      signal: stopping.signal,
    });
    const worker = {
      lines,
      state,
      stop() {
        stopping.abort();
        return running;
      },
    };
    this.#workers.push(worker);
    while (state.unready().length > 0) await pause(20);
    return worker;
  }

  /** A runner that has shards computed by the workers; its log goes to `lines`. */
  coordinator(more: Partial<FleetOptions> = {}, lines: string[] = []): ShardRunner {
    return fleetRunner({ ...this.#given(lines), name: 'coordinator', ...more });
  }

  #given(lines: string[]) {
    const write = (fields: object, message: string) => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const log = { info: write, warn: write, debug: () => undefined };
    return { ...this.#options, clock: realClock, random: Math.random, log };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
