/**
 * The embedded stack's conductor: lock → ports → ClickHouse, edge and Kafka → archiver → timers, and down again in the opposite order. Every part is a program of its own; this one only
 * starts, watches and stops them.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { TidemarkError } from '../schemas/errors.ts';
import { archiveNice, drainIntervalMs } from '../schemas/limits/dev.ts';
import type { Settings } from '../schemas/settings.ts';
import { openClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../workers/clients/clickhouse/migrate.ts';
import { Child, runProgram } from './child.ts';
import { KafkaParts, prepareKafka, withKafka } from './kafka/parts.ts';
import { lockDirectory } from './lock.ts';
import { assertPortFree, steadyPorts } from './port.ts';

export interface UpOptions {
  /** Ports, data directory, cron line and all that the parts need. */
  readonly settings: Settings;
  /** What the programs get beside the settings: PATH, HOME and the like. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number;
  /** Gets every line that a part writes. */
  readonly onLine: (part: string, line: string) => void;
  /** Whether the batch keeps its schedule by itself. @default true */
  readonly schedulesBatch?: boolean;
  /** Whether a real Kafka with its REST gateway is the archive leg. @default false */
  readonly kafka?: boolean;
  /**
   * Whether the archiver serves its metrics; else several stacks can run beside each other without a
   * port for it. @default false
   */
  readonly metrics?: boolean;
  /** Whether traces that ClickHouse does not have are looked up in the archive. @default false */
  readonly lookup?: boolean;
  /** Ends the start early: what runs by then is stopped, and its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** A running stack. */
export interface Stack {
  /** Settings with the addresses of this stack, for clients. */
  readonly settings: Settings;
  /** Where SDKs send traces. */
  readonly endpoint: string;
  /** Where the data is kept, absolute. */
  readonly directory: string;
  /** Resolves with the reason when a part has ended for good without being told to. */
  readonly died: Promise<TidemarkError>;
  /** Stops all parts, the archiver after its current commit; safe to call twice. */
  stop(): Promise<void>;
}

const root = path.join(import.meta.dirname, '..');

/**
 * Starts everything and returns when it takes requests. Throws PORT_TAKEN, DATA_DIRECTORY,
 * PROGRAM_ENDED or PROGRAM_MISSING with the reason, or what `signal` aborts with; then nothing is left running.
 */
export async function up(options: UpOptions): Promise<Stack> {
  const quiet = options.metrics ? {} : { TIDEMARK_METRICS_PORT: 0 };
  // Nobody but the Worker has to know the port, so several stacks can run beside each other.
  const [lookupPort = 0] = options.lookup ? await steadyPorts(1) : [];
  const lookup = {
    TIDEMARK_LOOKUP_PORT: lookupPort,
    TIDEMARK_LOOKUP_URL: lookupPort === 0 ? '' : `http://127.0.0.1:${lookupPort}`,
  };
  const local = { ...embedded(options.settings, options.environment), ...quiet, ...lookup };
  const settings = options.kafka ? withKafka(local) : local;
  const directory = path.resolve(settings.TIDEMARK_DATA);
  const lock = lockDirectory(directory);
  const parts = new Parts(options, settings, directory);
  const abandon = (): void => void parts.stop();
  options.signal?.addEventListener('abort', abandon, { once: true });
  try {
    options.signal?.throwIfAborted();
    await assertPortFree(settings.TIDEMARK_PORT, 'OTLP/HTTP', '--port');
    await assertPortFree(settings.TIDEMARK_CLICKHOUSE_PORT, 'ClickHouse', '--clickhouse-port');
    const { TIDEMARK_METRICS_PORT: metricsPort } = settings;
    if (metricsPort !== 0) await assertPortFree(metricsPort, 'metrics', '--metrics-port');
    if (options.kafka) parts.addKafka(await prepare(settings, options));
    await parts.start();
    options.signal?.throwIfAborted();
  } catch (error) {
    await parts.stop();
    lock.release();
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abandon);
  }
  let stopped: Promise<void> | undefined;
  return {
    settings,
    directory,
    endpoint: `http://127.0.0.1:${settings.TIDEMARK_PORT}/v1/traces`,
    died: parts.died,
    stop: () => (stopped ??= parts.stop().finally(() => lock.release())),
  };
}

function prepare(settings: Settings, { environment, onLine }: UpOptions): Promise<string> {
  return prepareKafka(settings, { environment, onLine: (line) => onLine('kafka', line) });
}

/**
 * The given settings with the addresses that the embedded parts have. Everyone on this machine may
 * send, unless the environment asks for keys.
 */
export function embedded(settings: Settings, environment: UpOptions['environment']): Settings {
  const auth = settings.TIDEMARK_KEYS === '' ? 'off' : 'keys';
  return {
    ...settings,
    TIDEMARK_AUTH: environment['TIDEMARK_AUTH'] ?? auth,
    CLICKHOUSE_URL: `http://127.0.0.1:${settings.TIDEMARK_CLICKHOUSE_PORT}`,
    S3_ENDPOINT: `http://127.0.0.1:${settings.TIDEMARK_PORT}/cdn-cgi/local/r2/s3`,
  };
}

class Parts {
  readonly #options: UpOptions;
  readonly #settings: Settings;
  readonly #environment: Record<string, string | undefined>;
  readonly #clickhouse: Child;
  readonly #edge: Child;
  readonly #archive: Child;
  readonly #schedule: Child | undefined;
  readonly #lookup: Child | undefined;
  readonly #directory: string;
  #kafka: KafkaParts | undefined;
  readonly #stopping = new AbortController();
  #timers: { stop: () => void }[] = [];
  /** Commands that are repeated, while they run. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: UpOptions, settings: Settings, directory: string) {
    this.#options = options;
    this.#settings = settings;
    this.#directory = directory;
    const texts = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    this.#environment = { ...options.environment, ...Object.fromEntries(texts) };
    const [edge, log] = [path.join(directory, 'edge'), path.join(directory, 'log')];
    mkdirSync(log, { recursive: true });
    this.#clickhouse = this.#child('clickhouse', 'ready', [
      path.join(root, 'dev/clickhouse/main.ts'),
      '--data',
      path.join(directory, 'clickhouse'),
      '--port',
      String(settings.TIDEMARK_CLICKHOUSE_PORT),
    ]);
    this.#edge = this.#child(
      'edge',
      'ready',
      [
        '--no-deprecation',
        path.join(root, 'dev/edge.ts'),
        '--port',
        String(settings.TIDEMARK_PORT),
        '--persist',
        edge,
      ],
      {
        // Wrangler reports nothing, asks nobody and writes its own log beside ours.
        WRANGLER_SEND_METRICS: 'false',
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        WRANGLER_LOG: 'error',
        WRANGLER_LOG_PATH: log,
        WRANGLER_REGISTRY_PATH: path.join(directory, 'registry'),
        MINIFLARE_REGISTRY_PATH: path.join(directory, 'registry'),
      },
    );
    const archive = [path.join(root, 'bin/tidemark.js'), 'archive'];
    this.#archive = this.#child('archive', undefined, archive, {}, archiveNice);
    const lookup = [path.join(root, 'bin/tidemark.js'), 'lookup', '--json'];
    this.#lookup =
      settings.TIDEMARK_LOOKUP_PORT === 0 ? undefined : this.#child('lookup', 'ready', lookup);
    const schedule = [path.join(root, 'bin/tidemark.js'), 'batch', 'schedule'];
    // The port of metrics is the archiver's.
    const quiet = { TIDEMARK_METRICS_PORT: '0' };
    this.#schedule =
      options.schedulesBatch === false
        ? undefined
        : this.#child('schedule', undefined, schedule, quiet, archiveNice);
  }

  /** To be called before `start`. */
  addKafka(jars: string): void {
    const child = (name: string, args: readonly string[]) => this.#child(name, 'ready', args);
    const [settings, directory] = [this.#settings, this.#directory];
    this.#kafka = new KafkaParts({ settings, directory, jars, child });
  }

  get died(): Promise<TidemarkError> {
    const programs = [
      this.#clickhouse,
      this.#edge,
      this.#archive,
      this.#schedule,
      this.#lookup,
      this.#kafka,
    ];
    return Promise.race(programs.flatMap((program) => (program ? [program.died] : [])));
  }

  async start(): Promise<void> {
    await Promise.all([this.#startClickHouse(), this.#edge.start()]);
    await this.#kafka?.start();
    await Promise.all([this.#archive.start(), this.#lookup?.start()]);
    this.#startDrain();
    this.#repeat('compact', this.#settings.TIDEMARK_COMPACT_EVERY_MS);
    this.#repeat('sweep', this.#settings.TIDEMARK_SWEEP_EVERY_MS);
    this.#repeat('ledger', this.#settings.TIDEMARK_LEDGER_EVERY_MS, ['--quiet']);
    await this.#schedule?.start();
  }

  /** The archiver ends first, because its store is served by the edge; ClickHouse ends last. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const timer of this.#timers.splice(0)) timer.stop();
    await Promise.all([
      this.#archive.stop(),
      this.#schedule?.stop(),
      this.#lookup?.stop(),
      ...this.#running.values(),
    ]);
    await this.#edge.stop();
    await this.#kafka?.stop();
    await this.#clickhouse.stop();
  }

  async #startClickHouse(): Promise<void> {
    await this.#clickhouse.start();
    const client = openClickHouse(this.#settings);
    try {
      await migrate(client);
    } finally {
      await client.close();
    }
  }

  /** workerd runs no cron triggers by itself: the tick is given from here. */
  #startDrain(): void {
    const url = `http://127.0.0.1:${this.#settings.TIDEMARK_PORT}/cdn-cgi/local/scheduled`;
    const timer = setInterval(() => {
      fetch(url, { signal: AbortSignal.timeout(drainIntervalMs) }).then(
        (answer) => answer.body?.cancel(),
        (error: unknown) => this.#options.onLine('edge', `Cannot drain: ${String(error)}`),
      );
    }, drainIntervalMs);
    this.#timers.push({ stop: () => clearInterval(timer) });
  }

  /** Runs a command again and again: one at a time; what one could not do the next one does. */
  #repeat(
    name: 'compact' | 'sweep' | 'ledger',
    everyMs: number,
    flags: readonly string[] = [],
  ): void {
    if (everyMs === 0) return;
    const run = async () => {
      if (this.#running.has(name)) return;
      const program = runProgram({
        args: [path.join(root, 'bin/tidemark.js'), name, ...flags],
        environment: this.#environment,
        onLine: (line) => this.#options.onLine(name, line),
        signal: this.#stopping.signal,
      });
      this.#running.set(name, program);
      await program.finally(() => this.#running.delete(name));
    };
    const timer = setInterval(() => void run(), everyMs);
    this.#timers.push({ stop: () => clearInterval(timer) });
  }

  #child(
    name: string,
    readyField: string | undefined,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    nice = 0,
  ): Child {
    return new Child({
      name,
      args,
      nice,
      environment: { ...this.#environment, ...environment },
      onLine: (line) => this.#options.onLine(name, line),
      monotonicMs: this.#options.monotonicMs,
      ...(readyField !== undefined && { readyField }),
    });
  }
}
