/**
 * The lease in a world where time is a number: machines with clocks that are hours apart, that crash and
 * sleep, before a store that loses, refuses and delays. After every event it is asked who holds it.
 */
import { describe, expect, it } from 'vitest';
import { Lease, readLease } from '../../../batch/scheduler/lease.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { leaseKey, leasePrefix } from '../../../schemas/lease.ts';
import { Bucket, BucketClient, calm } from '../../simulation/bucket.ts';
import type { Weather } from '../../simulation/bucket.ts';
import { Machine, World } from '../../simulation/world.ts';

const startMs = Date.parse('2026-11-23T04:00:00Z');
const leaseMs = 60_000;
const name = 'batch';
const storm: Weather = {
  refused: 0.03,
  lostBefore: 0.03,
  lostAfter: 0.05,
  late: 0.05,
  stalled: 0.03,
  triesMax: 2,
  lateMsMax: 90_000,
  stallMsMax: 70_000,
};

const firstSeed = Number(process.env['TEST_SEED'] ?? 1);
const seeds = Array.from({ length: 150 }, (_, index) => firstSeed + index);

interface Node {
  readonly machine: Machine;
  readonly lease: Lease;
}

class Cluster {
  readonly world: World;
  readonly bucket: Bucket;
  weather: Weather = calm;
  readonly nodes: Node[] = [];
  /** Who led, in order, and from when. */
  readonly leaders: { readonly holder: string; readonly term: number; readonly atMs: number }[] =
    [];

  constructor(seed: number) {
    this.world = new World(seed, startMs);
    const witness = { putting: () => undefined, deleting: () => undefined };
    this.bucket = new Bucket(witness, () => this.world.nowMs);
  }

  /** A scheduler as `batch/scheduler.ts` is, without work: takes the lease, and renews it. */
  add(holder: string, clockSkewMs: number): Node {
    const { world } = this;
    const machine = new Machine(holder, world, clockSkewMs);
    const store = new BucketClient(this.bucket, machine, () => this.weather, 1000);
    const bootMs = world.nowMs - 1000 * this.nodes.length;
    const clock = {
      now: () => world.nowMs + clockSkewMs,
      monotonicMs: () => world.nowMs - bootMs,
    };
    const lease = new Lease({ store, clock, lease: name, holder, name: holder, leaseMs });
    const node = { machine, lease };
    this.nodes.push(node);
    const turn = async (): Promise<void> => {
      try {
        if (!lease.isHeld) {
          if (await lease.take()) this.#led(holder, lease.term);
        } else await lease.renew();
      } catch (error) {
        if (!(error instanceof TidemarkError)) world.fail(error);
      }
      machine.deliver(leaseMs / 3, () => void turn());
    };
    machine.deliver(world.between(0, 1000), () => void turn());
    return node;
  }

  #led(holder: string, term: number): void {
    this.world.note(`${holder} leads, term ${term}`);
    this.leaders.push({ holder, term, atMs: this.world.nowMs });
  }

  /** Those that may act as leaders at this moment. */
  get holders(): string[] {
    return this.nodes
      .filter(({ machine, lease }) => machine.isAlive && lease.isHeld)
      .map(({ machine }) => machine.name);
  }

  /** Runs until a time; throws when two hold the lease at once. */
  async until(ms: number, each: () => void = () => undefined): Promise<void> {
    this.world.after(ms - this.world.nowMs, () => undefined);
    await this.world.run(() => {
      each();
      if (this.holders.length > 1) throw new Error(`Two lead: ${this.holders.join()}`);
      return this.world.nowMs >= ms;
    });
  }
}

describe('Lease', () => {
  it(`never has two holders, whatever befalls machines, clocks and requests`, async () => {
    console.log(`seeds ${seeds[0]} to ${seeds.at(-1)}`);
    const sums = { leaders: 0, nobodyMs: 0, sleeps: 0, crashes: 0 };
    for (const each of seeds) {
      const cluster = new Cluster(each);
      const { world } = cluster;
      cluster.weather = world.chance(0.5) ? storm : calm;
      for (const holder of ['a', 'b', 'c', 'd'].slice(0, world.whole(2, 5))) {
        cluster.add(holder, world.whole(-7_200_000, 7_200_000));
      }
      const harm = () => {
        const node = world.pick(cluster.nodes);
        const isAlone = cluster.nodes.filter(({ machine }) => machine.isAlive).length === 1;
        if (world.chance(0.3) && !isAlone) {
          if (node.machine.isAlive) sums.crashes += 1;
          node.machine.crash();
        } else {
          sums.sleeps += 1;
          node.machine.sleepFor(world.between(1000, 5 * leaseMs));
        }
        world.after(world.between(1000, 4 * leaseMs), harm);
      };
      world.after(world.between(0, leaseMs), harm);
      let lastMs = world.nowMs;
      await cluster
        .until(startMs + 3_600_000, () => {
          if (cluster.holders.length === 0) sums.nobodyMs += world.nowMs - lastMs;
          lastMs = world.nowMs;
        })
        .catch((error: unknown) => {
          const last = world.history.slice(-40).join('\n');
          throw new Error(`seed ${each}: ${String(error)}\n${last}`, { cause: error });
        });
      // A holder may come back in its own term: a renewal was stored after all. Nobody else may.
      const terms = cluster.leaders.map(({ term }) => term);
      expect(terms, `seed ${each}`).toEqual(terms.toSorted((x, y) => x - y));
      const pairs = new Set(cluster.leaders.map(({ holder, term }) => `${term} ${holder}`));
      expect(pairs.size, `seed ${each}`).toBe(new Set(terms).size);
      sums.leaders += pairs.size;
    }
    console.log(sums);
    expect(sums.leaders).toBeGreaterThan(5 * seeds.length);
    expect(sums.nobodyMs).toBeLessThan(0.6 * 3_600_000 * seeds.length);
  });

  it('passes to another within its time and a look, when its holder dies', async () => {
    for (const each of seeds.slice(0, 30)) {
      const cluster = new Cluster(each);
      cluster.add('a', 3_600_000);
      cluster.add('b', -3_600_000);
      await cluster.until(startMs + 10 * leaseMs + cluster.world.whole(0, leaseMs));
      const [holder = ''] = cluster.holders;
      const diedMs = cluster.world.nowMs;
      cluster.nodes.find(({ machine }) => machine.name === holder)?.machine.crash();
      await cluster.until(diedMs + 3 * leaseMs);
      const next = cluster.leaders.at(-1);
      expect(next?.holder).toBe(holder === 'a' ? 'b' : 'a');
      expect(next?.term).toBe(2);
      // Three looks in its time: one to see it, one to see that it has stood long enough.
      expect((next?.atMs ?? 0) - diedMs).toBeLessThan(leaseMs + leaseMs / 3 + 1000);
    }
  });

  it('passes on at once when it is given back', async () => {
    const cluster = new Cluster(firstSeed);
    const { lease } = cluster.add('a', 0);
    await cluster.until(startMs + 5000);
    expect(cluster.holders).toEqual(['a']);
    const released = lease.release();
    await cluster.until(startMs + 6000);
    await released;
    cluster.nodes[0]?.machine.crash();
    cluster.add('b', 0);
    await cluster.until(startMs + 8000);
    expect(cluster.holders).toEqual(['b']);
    expect(cluster.leaders.map(({ term }) => term)).toEqual([1, 2]);
  });

  it('is lost to a holder that slept, before it knows of anybody else', async () => {
    const cluster = new Cluster(firstSeed);
    const { lease, machine } = cluster.add('a', 0);
    await cluster.until(startMs + 5000);
    machine.sleepFor(10 * leaseMs);
    await cluster.until(startMs + 2 * leaseMs);
    expect(lease.isHeld).toBe(false);
    await expect(lease.assertHeld()).rejects.toThrow('another scheduler may lead by now');
  });

  it('ends early for a holder whose clock is set, never late', async () => {
    const { world, bucket } = new Cluster(firstSeed);
    const machine = new Machine('a', world, 0);
    const store = new BucketClient(bucket, machine, () => calm, 1000);
    let [wallMs, monotonicMs] = [startMs, 0];
    const clock = { now: () => wallMs, monotonicMs: () => monotonicMs };
    const lease = new Lease({ store, clock, lease: name, holder: 'a', name: 'a', leaseMs });
    const taken = lease.take();
    world.after(60_000, () => undefined);
    await world.run(() => world.nowMs >= startMs + 60_000);
    expect(await taken).toBe(true);
    expect(lease.isHeld).toBe(true);
    // Set back by an hour: the other clock goes on.
    wallMs -= 3_600_000;
    monotonicMs += leaseMs;
    expect(lease.isHeld).toBe(false);
    // A machine that was suspended: the other clock stood still.
    monotonicMs -= leaseMs;
    wallMs += 3_600_000 + leaseMs;
    expect(lease.isHeld).toBe(false);
  });

  it('leaves one object behind, and its listing says who holds it', async () => {
    const cluster = new Cluster(firstSeed);
    cluster.add('a', 0);
    await cluster.until(startMs + 100 * leaseMs);
    const keys = cluster.bucket.keys(leasePrefix(name));
    expect(keys).toHaveLength(1);
    const machine = new Machine('reader', cluster.world, 0);
    const reading = readLease(new BucketClient(cluster.bucket, machine, () => calm, 10), name);
    await cluster.until(startMs + 101 * leaseMs);
    const record = await reading;
    expect(record).toMatchObject({ holder: 'a', term: 1, leaseMs, released: false });
    expect(record?.sequence).toBeGreaterThan(290);
    expect(keys).toEqual([leaseKey(name, record?.sequence ?? 0)]);
  });
});
