/** The archiver's view of itself: loops that turn, loops that are stuck, and what it waits for. */
import { expect, it } from 'vitest';
import { turnMsMax } from '../../../schemas/limits/archive.ts';
import { kafkaSilentMsMax } from '../../../schemas/limits/kafka.ts';
import { Vitals } from '../../../workers/watch/vitals.ts';
import type { LogState } from '../../../workers/watch/vitals.ts';

const state: LogState = {
  topic: 'otlp_spans',
  partition: '3',
  nextOffset: 1n,
  lagRecords: 0,
  oldestMs: undefined,
  watermarkMs: 1,
  heldBytes: 0,
  flushAgeMs: 60_000,
  done: { requests: 1, rows: 2, files: 3, commits: 4 },
};

const alone = (task: () => Promise<undefined>): Promise<undefined> => task();

/** A loop whose turns the test begins and ends. */
function loopOf(vitals: Vitals) {
  const turns: PromiseWithResolvers<undefined>[] = [];
  const ended = Promise.withResolvers<undefined>();
  let run = alone;
  const watched = vitals.watch(
    () => state,
    async (turn) => {
      run = turn;
      await ended.promise;
    },
  );
  return {
    begin() {
      const turn = Promise.withResolvers<undefined>();
      turns.push(turn);
      return run(() => turn.promise);
    },
    finish: () => turns.at(-1)?.resolve(undefined),
    fail: () => turns.at(-1)?.reject(new Error('Bug: a test')),
    async end() {
      ended.resolve(undefined);
      await watched;
    },
  };
}

it('stuck() names a loop whose turn goes on too long, and no other', async () => {
  let now = 0;
  const vitals = new Vitals(() => now);
  const loop = loopOf(vitals);
  now += 10 * turnMsMax;
  // Between two turns it may rest as long as it likes: that is a timer, which always ends.
  expect(vitals.stuck()).toEqual([]);
  const turn = loop.begin();
  now += turnMsMax;
  expect(vitals.stuck()).toEqual([]);
  now += 1000;
  expect(vitals.stuck()).toEqual([
    `otlp_spans/3 has been in one turn for ${turnMsMax / 1000 + 1} s`,
  ]);
  loop.finish();
  await turn;
  expect(vitals.stuck()).toEqual([]);
});

it('stuck() forgets turns that failed, and loops that ended', async () => {
  let now = 0;
  const vitals = new Vitals(() => now);
  const loop = loopOf(vitals);
  const turn = loop.begin();
  loop.fail();
  await expect(turn).rejects.toThrow('a test');
  now += 2 * turnMsMax;
  expect(vitals.stuck()).toEqual([]);
  void loop.begin();
  now += 2 * turnMsMax;
  await loop.end();
  expect(vitals.stuck()).toEqual([]);
  expect(vitals.logs).toEqual([]);
});

it('stuck() names a topic that is ours to read and whose fetches nobody answers', () => {
  let now = 0;
  const vitals = new Vitals(() => now);
  vitals.reads('otlp_spans', 'begins');
  vitals.reads('otlp_logs', 'begins');
  now += kafkaSilentMsMax;
  vitals.reads('otlp_logs', 'goes on');
  expect(vitals.stuck()).toEqual([]);
  now += 1000;
  const seconds = kafkaSilentMsMax / 1000 + 1;
  expect(vitals.stuck()).toEqual([
    `otlp_spans: no fetch was answered for ${seconds} s, although there are partitions to read`,
  ]);
  vitals.reads('otlp_spans', 'goes on');
  expect(vitals.stuck()).toEqual([]);
  // Nothing is ours, or all of it rests because enough is held: nobody asks, so nobody answers.
  vitals.reads('otlp_spans', 'rests');
  vitals.reads('otlp_logs', 'rests');
  now += 10 * kafkaSilentMsMax;
  expect(vitals.stuck()).toEqual([]);
});

it('unready() waits for the store and for every topic that Kafka has', () => {
  const vitals = new Vitals(() => 0);
  vitals.topic('otlp_spans', 'unknown');
  vitals.topic('otlp_logs', 'absent');
  expect(vitals.unready()).toEqual([
    'the object store has not been probed yet',
    'otlp_spans is not being read yet',
  ]);
  vitals.storeProbed();
  vitals.topic('otlp_spans', 'joining');
  expect(vitals.unready()).toEqual(['otlp_spans is not being read yet']);
  vitals.topic('otlp_spans', 'joined');
  expect(vitals.unready()).toEqual([]);
  vitals.stopping();
  expect(vitals.unready()).toEqual(['the archiver is stopping']);
});

it('faults lists what is tried again until it works', () => {
  const vitals = new Vitals(() => 0);
  vitals.fault('otlp_spans/3', 'Cannot write');
  vitals.fault('otlp_logs', 'Cannot join');
  expect(vitals.faults).toEqual(['otlp_spans/3: Cannot write', 'otlp_logs: Cannot join']);
  vitals.fault('otlp_spans/3', undefined);
  vitals.topic('otlp_logs', 'joined');
  expect(vitals.faults).toEqual([]);
});

it('done keeps what logs have archived that are not ours any more', async () => {
  const vitals = new Vitals(() => 0);
  const [first, second] = [loopOf(vitals), loopOf(vitals)];
  expect(vitals.done).toEqual({ requests: 2, rows: 4, files: 6, commits: 8 });
  await first.end();
  expect(vitals.done).toEqual({ requests: 2, rows: 4, files: 6, commits: 8 });
  await second.end();
  expect(vitals.done).toEqual({ requests: 2, rows: 4, files: 6, commits: 8 });
});
