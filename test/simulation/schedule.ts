/**
 * One schedule: archivers, their store and their Kafka under faults that a seed chooses; then calm,
 * in which the survivors must archive all that is left. What runs is the archiver itself
 * (`runArchiver`); only its clock, store, Kafka, decoder and encoder are the simulation's.
 */
import { Registry } from 'prom-client';
import { parseFileKey, spoolName } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { Settings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import { sweep } from '../../workers/sweep.ts';
import type { SweepReport } from '../../workers/sweep.ts';
import { Bucket, BucketClient, calm } from './bucket.ts';
import type { Weather } from './bucket.ts';
import { compactOnce } from './compactor.ts';
import { Cluster } from './cluster.ts';
import { Judge, spoolPrefix } from './judge.ts';
import type { Produced } from './judge.ts';
import { readAll } from './reader.ts';
import { encodeRequest, recordingEncoders } from './recording.ts';
import { Machine, Violation, World } from './world.ts';

const startMs = Date.UTC(2026, 10, 22, 13, 50);
const hourLengthMs = 3_600_000;
const chaosMs = 180_000;
/** What the survivors have to archive all that is left: pauses after faults grow to a minute. */
const drainMsMax = 900_000;

export interface ScheduleOptions {
  /** Partitions of Kafka; 0 is the spool alone. */
  readonly partitions?: number;
}

/** What a schedule was like, for tests that assert that schedules are as bad as they claim. */
export interface ScheduleReport {
  readonly events: number;
  readonly requests: number;
  readonly commits: number;
  readonly crashes: number;
  readonly conflicts: number;
  readonly reads: number;
  /** Files that sweepers deleted. */
  readonly swept: number;
  /** Hours that compactors changed. */
  readonly compactions: number;
}

/** Runs the schedule of `seed`. Throws a `Violation` that says what was broken, with the history. */
export async function simulate(
  seed: number,
  options: ScheduleOptions = {},
): Promise<ScheduleReport> {
  const schedule = new Schedule(seed, options);
  const { stackTraceLimit } = Error;
  // Stacks of the many errors that are meant to happen would take most of the time.
  Error.stackTraceLimit = 0;
  try {
    return await schedule.run();
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const history = schedule.world.history.slice(-120).join('\n');
    throw new Violation(`seed ${seed}: ${why}\n${history}`, { cause: error });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class Schedule {
  readonly world: World;
  readonly #judge: Judge;
  readonly #bucket: Bucket;
  readonly #cluster: Cluster | undefined;
  readonly #settings: Settings;
  readonly #stormy: Weather;
  #weather: Weather;
  readonly #pageKeys: number;
  readonly #columnRowsMax: number;
  /** Of sweepers. Often none: what makes a file dead must not be its age. */
  readonly #graceMs: number;
  #writers: Writer[] = [];
  /** Sweepers and compactors. */
  readonly #tasks: { readonly machine: Machine; hasEnded: boolean }[] = [];
  #names = 0;
  #isEnding = false;
  #requests = 0;
  #crashes = 0;
  #conflicts = 0;
  #reads = 0;
  #swept = 0;
  #compactions = 0;
  /** Requests on their way to the spool, readers at work. */
  #underWay = 0;

  constructor(seed: number, options: ScheduleOptions) {
    const world = new World(seed, startMs);
    this.world = world;
    this.#graceMs = world.pick([0, 30_000]);
    this.#judge = new Judge(() => world.nowMs, this.#graceMs);
    const storeSkewMs = world.between(-120_000, 120_000);
    this.#bucket = new Bucket(this.#judge, () => world.nowMs + storeSkewMs);
    this.#judge.objects = this.#bucket.objects;
    this.#settings = settingsOf(world);
    this.#stormy = stormOf(world);
    this.#weather = this.#stormy;
    this.#pageKeys = world.chance(0.5) ? 1000 : world.whole(2, 9);
    this.#columnRowsMax = world.chance(0.2) ? world.whole(4, 12) : 1000;
    const { partitions = 0 } = options;
    const faults = { glitch: world.chance(0.3) ? 0.2 : 0, refused: world.pick([0, 0.05, 0.2]) };
    this.#cluster = partitions > 0 ? new Cluster(world, partitions, faults) : undefined;
  }

  async run(): Promise<ScheduleReport> {
    const { world } = this;
    for (let count = world.whole(2, 5); count > 0; count -= 1) this.#startWriter();
    this.#plan(world.whole(8, 24), () => this.#produce());
    this.#plan(world.whole(2, 10), () => this.#disturb());
    const tenders = world.pick([0, 1, 4]);
    this.#plan(1 + world.whole(0, tenders + 1), () => this.#read());
    this.#plan(world.whole(0, 3), () => this.#startSweeper());
    this.#plan(world.whole(0, tenders + 1), () => this.#startCompactor());
    await world.run(() => world.nowMs >= startMs + chaosMs);
    this.#calm();
    const deadlineMs = world.nowMs + drainMsMax;
    await world.run(() => this.#isDrained() || world.nowMs > deadlineMs);
    if (!this.#isDrained()) throw new Violation('the survivors do not archive what is left');
    await this.#leaveOne();
    await this.#stopWriters();
    await this.#finalRead();
    await this.#finalSweep();
    return {
      events: world.events,
      requests: this.#requests,
      commits: [...this.#judge.commits.values()].reduce((sum, { length }) => sum + length, 0),
      crashes: this.#crashes,
      conflicts: this.#conflicts,
      reads: this.#reads,
      swept: this.#swept,
      compactions: this.#compactions,
    };
  }

  #plan(count: number, task: () => void): void {
    for (let index = 0; index < count; index += 1) {
      this.world.after(this.world.between(0, chaosMs), task);
    }
  }

  #machine(kind: string): Machine {
    this.#names += 1;
    return new Machine(`${kind}${this.#names}`, this.world, this.world.between(-5000, 5000));
  }

  #client(machine: Machine): BucketClient {
    return new BucketClient(this.#bucket, machine, () => this.#weather, this.#pageKeys);
  }

  #startWriter(): void {
    if (this.#isEnding) return;
    const machine = this.#machine('w');
    machine.onCrash = () => {
      this.#crashes += 1;
      this.#cluster?.lose(machine);
      this.#replace();
    };
    machine.onSleep = (ms) => this.#cluster?.miss(machine, ms);
    const stop = new AbortController();
    const writer: Writer = { machine, stop, hasEnded: false };
    this.#writers.push(writer);
    const log = {
      info: (_: object, message: string) => {
        if (message.startsWith('Another')) this.#conflicts += 1;
        this.world.note(`${machine.name} ${message}`);
      },
      warn: (fields: object, message: string) => {
        const { err } = fields as { err?: Error };
        this.world.note(`${machine.name} ${message}: ${err?.message ?? ''}`);
      },
      debug: () => undefined,
    };
    const random = (byteCount: number) =>
      Uint8Array.from({ length: byteCount }, () => this.world.whole(0, 256));
    runArchiver({
      store: this.#client(machine),
      ...(this.#cluster && { kafka: this.#cluster.client(machine) }),
      settings: this.#settings,
      transcoder: undefined as unknown as WebAssembly.Module,
      encoders: recordingEncoders(machine, this.#columnRowsMax),
      clock: machine.clock,
      random,
      log,
      signal: stop.signal,
      codeVersion: 'simulation',
      signals: ['traces'],
      registry: new Registry(),
    }).then(
      () => (writer.hasEnded = true),
      (error: unknown) => {
        writer.hasEnded = true;
        // What the world did may end an archiver at its start; another one is started then.
        if (!(error instanceof TidemarkError)) return this.world.fail(error);
        this.world.note(`${machine.name} ended: ${error.message}`);
        machine.deliver(1000, () => this.#startWriter());
      },
    );
  }

  #running(): Writer[] {
    return this.#writers.filter(({ machine, hasEnded }) => machine.isAlive && !hasEnded);
  }

  #produce(): void {
    const { world } = this;
    const hours = Array.from({ length: world.whole(0, 4) }, () =>
      world.chance(0.1) ? -1 : startHourMs + world.whole(-1, 2) * hourLengthMs,
    );
    this.#requests += 1;
    const isBroken = world.chance(0.1);
    const common = {
      id: this.#requests,
      hours: isBroken ? [] : hours,
      isBroken,
      isCommitted: false,
      isGone: false,
    };
    const bytes = encodeRequest(isBroken ? 'broken' : { id: common.id, hours });
    if (this.#cluster && world.chance(0.85)) this.#toKafka(this.#cluster, common, bytes);
    else this.#toSpool(common, bytes);
  }

  #toKafka(cluster: Cluster, common: Common, bytes: Uint8Array): void {
    const { world } = this;
    const partition = world.whole(0, cluster.partitions.length);
    const skipped = world.chance(0.15) ? world.whole(1, 4) : 0;
    const receivedMs = Math.floor(world.nowMs - world.between(0, world.pick([0, 50_000])));
    const offset = cluster.append(partition, skipped, receivedMs, bytes);
    world.note(`request ${common.id} is ${partition}/${offset}`);
    this.#judge.add({ ...common, place: String(partition), receivedMs, offset });
  }

  #toSpool(common: Common, bytes: Uint8Array): void {
    const { world } = this;
    const receivedMs = Math.floor(world.nowMs);
    const name = spoolName({ receivedMs, requestId: `r${common.id}`, tenantId: 'acme' });
    const key = `${spoolPrefix}${name}`;
    this.#judge.add({ ...common, place: 'spool', receivedMs, key });
    this.#underWay += 1;
    const slowMs = world.pick([50, 50, 5000, 50_000]);
    world.after(world.between(1, slowMs), () => {
      this.#underWay -= 1;
      world.note(`request ${common.id} is in the spool`);
      this.#bucket.put(key, bytes, false, 'edge');
    });
  }

  /** Something happens to one of the archivers, or to Kafka. */
  #disturb(): void {
    const { world } = this;
    const running = this.#running();
    if (running.length === 0) return this.#startWriter();
    const { machine, stop } = world.pick(running);
    const kind = world.pick([...disturbances]);
    if (kind === 'crash') return machine.crash();
    if (kind === 'crashSoon') return machine.crashAfterAnswers(world.whole(0, 30));
    if (kind === 'sleep') return machine.sleepFor(this.#sleepMs());
    if (kind === 'sleepSoon') {
      return machine.sleepAfterAnswers(world.whole(0, 30), this.#sleepMs());
    }
    if (kind === 'stop') {
      stop.abort();
      return this.#replace();
    }
    if (kind === 'rebalance') return this.#cluster?.rebalance();
    this.#retain();
  }

  #sleepMs(): number {
    return this.world.pick([3000, 20_000, 100_000]) * this.world.between(0.5, 1);
  }

  #replace(): void {
    this.world.after(this.world.between(100, 20_000), () => this.#startWriter());
  }

  #retain(): void {
    const { world } = this;
    if (!this.#cluster) return;
    const partition = world.whole(0, this.#cluster.partitions.length);
    const { next } = this.#cluster.at(partition);
    const committed = Number(this.#judge.commits.get(String(partition))?.at(-1)?.nextOffset ?? 0);
    const offset = world.chance(0.6) ? committed : world.whole(0, next + 1);
    this.#cluster.retain(partition, offset);
    const gone = (request: Produced): boolean =>
      request.place === String(partition) && Number(request.offset) < offset;
    for (const request of this.#judge.produced.filter(gone)) this.#judge.remove(request);
    world.note(`Kafka deletes ${partition} up to ${offset}`);
  }

  #calm(): void {
    this.world.note('calm');
    this.#weather = calm;
    for (const { machine } of this.#writers) machine.spare();
    if (this.#cluster) this.#cluster.faults = { glitch: 0, refused: 0 };
    if (this.#running().length === 0 || this.world.chance(0.5)) this.#startWriter();
    this.#cluster?.rebalance();
  }

  #isDrained(): boolean {
    return (
      this.#judge.outstanding === 0 &&
      this.#underWay === 0 &&
      this.#bucket.keys(spoolPrefix).length === 0
    );
  }

  /** Whatever an archiver has been through, it must be able to go on alone. */
  async #leaveOne(): Promise<void> {
    const { world } = this;
    if (!this.#running().some(isGoingOn)) this.#startWriter();
    this.#isEnding = true;
    const survivor = this.#running().find(isGoingOn);
    for (const writer of this.#running()) if (writer !== survivor) writer.stop.abort();
    for (let count = 0; count < 3; count += 1) this.#produce();
    const deadlineMs = world.nowMs + drainMsMax;
    await world.run(() => this.#isDrained() || world.nowMs > deadlineMs);
    if (!this.#isDrained()) throw new Violation(`${survivor?.machine.name} cannot go on alone`);
  }

  async #stopWriters(): Promise<void> {
    const { world } = this;
    this.#isEnding = true;
    for (const { stop } of this.#writers) stop.abort();
    const deadlineMs = world.nowMs + 200_000;
    await world.run(() => this.#running().length === 0 || world.nowMs > deadlineMs);
    const names = this.#running().map(({ machine }) => machine.name);
    if (names.length > 0) throw new Violation(`these do not stop: ${names.join(', ')}`);
  }

  #read(): void {
    const machine = this.#machine('reader');
    if (!this.#isEnding && this.world.chance(0.3)) {
      machine.sleepAfterAnswers(this.world.whole(0, 15), this.#sleepMs());
    }
    this.#underWay += 1;
    readAll(this.#client(machine), this.#judge, this.#period())
      .then(() => (this.#reads += 1))
      .catch((error: unknown) => {
        if (!(error instanceof TidemarkError)) this.world.fail(error);
      })
      .finally(() => (this.#underWay -= 1));
  }

  /** What the world does may end a task early; anything else is a bug. */
  #start(machine: Machine, task: Promise<unknown>): void {
    const started = { machine, hasEnded: false };
    this.#tasks.push(started);
    task
      .catch((error: unknown) => {
        if (!(error instanceof TidemarkError)) this.world.fail(error);
      })
      .finally(() => (started.hasEnded = true));
  }

  #startSweeper(): void {
    const machine = this.#machine('sweeper');
    if (this.world.chance(0.2)) machine.crashAfterAnswers(this.world.whole(0, 30));
    this.#start(machine, this.#sweep(machine, this.#graceMs));
  }

  #startCompactor(): void {
    const machine = this.#machine('compactor');
    const answers = this.world.whole(0, 60);
    const fate = this.world.pick(['none', 'crash', 'sleep']);
    if (fate === 'crash') machine.crashAfterAnswers(answers);
    if (fate === 'sleep') machine.sleepAfterAnswers(answers, this.#sleepMs());
    const task = compactOnce(this.#client(machine), machine, this.#period());
    this.#start(
      machine,
      task.then(({ hours }) => (this.#compactions += hours.length)),
    );
    // Those that it may harm, or that may harm it.
    if (this.world.chance(0.5)) this.#read();
    for (let count = this.world.whole(0, 3); count > 0; count -= 1) {
      this.world.after(this.world.between(0, 60_000), () => this.#startSweeper());
    }
  }

  async #sweep(machine: Machine, graceMs: number): Promise<SweepReport> {
    const log = { info: () => undefined, debug: () => undefined };
    const report = await sweep({
      store: this.#client(machine),
      graceMs,
      dryRun: false,
      codeVersion: 'simulation',
      signals: ['traces'],
      name: machine.name,
      log: { ...log, warn: (fields) => this.world.fail(new Violation(JSON.stringify(fields))) },
    });
    this.#swept += report.deleted.files;
    return report;
  }

  /** When all is quiet: what is left is live, or might still be named by a writer that sleeps. */
  async #finalSweep(): Promise<void> {
    await this.world.run(() =>
      this.#tasks.every(({ machine, hasEnded }) => hasEnded || !machine.isAlive),
    );
    // What nobody waits for any more arrives, too.
    const quietMs = this.world.nowMs + 2 * 60_000;
    this.world.after(2 * 60_000, () => undefined);
    await this.world.run(() => this.world.nowMs >= quietMs);
    let report: SweepReport | undefined;
    this.#sweep(this.#machine('sweeper'), 0).then(
      (done) => (report = done),
      (error: unknown) => this.world.fail(error),
    );
    await this.world.run(() => report !== undefined);
    const live = report?.found.live.files;
    if (live !== this.#judge.live.size) throw new Violation(`the sweeper finds ${live} live`);
    for (const key of this.#bucket.keys('signal=')) {
      const { partition = '', firstOffset } = parseFileKey(key) ?? {};
      const next = this.#judge.commits.get(partition)?.at(-1)?.nextOffset ?? '0';
      const isPending = String(firstOffset) === next;
      if (!this.#judge.isLive(key) && !isPending) throw new Violation(`${key} is never swept`);
    }
  }

  #period(): { fromMs: number; toMs: number } {
    return { fromMs: startHourMs - 2 * hourLengthMs, toMs: startHourMs + 4 * hourLengthMs };
  }

  async #finalRead(): Promise<void> {
    const reads = this.#reads;
    this.#read();
    await this.world.run(() => this.#underWay === 0);
    if (this.#reads === reads) throw new Violation('the archive cannot be read at the end');
  }
}

const disturbances = [
  'crash',
  'crashSoon',
  'sleep',
  'sleepSoon',
  'stop',
  'rebalance',
  'retain',
] as const;

type Common = Pick<Produced, 'id' | 'hours' | 'isBroken' | 'isCommitted' | 'isGone'>;

interface Writer {
  readonly machine: Machine;
  readonly stop: AbortController;
  hasEnded: boolean;
}

function isGoingOn({ stop }: Writer): boolean {
  return !stop.signal.aborted;
}

const startHourMs = Math.floor(startMs / hourLengthMs) * hourLengthMs;

function settingsOf(world: World): Settings {
  return readSettings({
    TIDEMARK_FLUSH_ROWS: String(world.pick([3, 8, 1000])),
    TIDEMARK_FLUSH_BYTES: String(world.pick([100, 100_000])),
    TIDEMARK_FLUSH_AGE_MS: String(world.pick([0, 5000, 15_000])),
    TIDEMARK_ARCHIVE_POLL_MS: String(world.pick([1000, 4000, 12_000])),
    TIDEMARK_HELD_BYTES_MAX: String(world.pick([200, 1_000_000])),
  });
}

function stormOf(world: World): Weather {
  const often = (): number => world.pick([0, 0, 0.02, 0.1]);
  return {
    refused: often(),
    lostBefore: often(),
    lostAfter: often(),
    late: often(),
    stalled: often(),
    triesMax: world.whole(1, 4),
    lateMsMax: world.pick([4000, 60_000]),
    stallMsMax: 20_000,
  };
}
