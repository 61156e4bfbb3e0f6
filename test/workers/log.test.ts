/** One partition's log: turns against a source that is only a list, and other archivers in between. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import type { Commit } from '../../schemas/commit.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { readSettings } from '../../schemas/settings.ts';
import { SharedColumns } from '../../workers/flush/columns.ts';
import type { ArchiveContext } from '../../workers/context.ts';
import { archiveCounters } from '../../workers/watch/counters.ts';
import { PartitionLog } from '../../workers/log.ts';
import { SpoolSource } from '../../workers/sources/spool.ts';
import type { Backlog, Source, SourceRecord } from '../../workers/sources/source.ts';
import { keysUnder, readLog, spoolObject } from '../support/committed.ts';
import { FaultyStore } from '../support/faults.ts';
import type { Objects } from '../support/faults.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;
let objects: Objects;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

beforeEach(() => {
  objects = new Map();
});

function contextOf(store: FaultyStore, environment: Record<string, string> = {}): ArchiveContext {
  return {
    store,
    settings: readSettings(environment),
    clock: { now: () => startMs + 60_000, sleep: () => Promise.resolve() },
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
    counters: archiveCounters(new Registry()),
    columns: new SharedColumns(transcoder),
    randomName: () => randomBytes(8).toString('hex'),
    signal: new AbortController().signal,
    hardStop: new AbortController().signal,
    once: true,
    writer: 'test',
    codeVersion: 'test',
  };
}

/** A partition of Kafka whose records are all there from the beginning. */
class Listed implements Source {
  readonly signal = 'traces';
  readonly topic = topic;
  readonly partition = '0';
  readonly partitionNumber = 0;
  readonly calls: string[] = [];
  readonly #records: SourceRecord[];
  #next = 0n;

  constructor(offsets: readonly number[]) {
    this.#records = offsets.map((offset) => ({
      offset: BigInt(offset),
      receivedMs: startMs + offset,
      tenantId: 'acme',
      request: spoolObject(topic, startMs, 'r', [`span ${offset}`]).body,
      name: `0+${offset}`,
      origin: { offset },
    }));
  }

  adopt(head: Commit | undefined): Promise<void> {
    this.#next = BigInt(head?.nextOffset ?? 0);
    this.calls.push(`adopt ${this.#next}`);
    return Promise.resolve();
  }

  position() {
    return { endOffset: undefined, waiting: 0, oldestMs: undefined, heldBytes: 0 };
  }

  look(): Promise<Backlog> {
    const left = this.#records.filter(({ offset }) => offset >= this.#next);
    return Promise.resolve({
      count: left.length,
      bytes: left.reduce((sum, { request }) => sum + request.byteLength, 0),
      waitingSinceMs: left[0] && startMs,
      full: false,
      complete: true,
      async *records() {
        yield* left;
      },
      watermarkAfter: (taken) => left[taken]?.receivedMs ?? startMs + 1000,
      spoolKeys: () => [],
    });
  }

  suspend(): void {
    this.calls.push('suspend');
  }
}

describe('PartitionLog.turn()', () => {
  it('commits what waits, then has nothing to do', async () => {
    const source = new Listed([0, 1, 2]);
    const log = new PartitionLog(contextOf(new FaultyStore(objects)), source);
    expect(await log.turn()).toEqual({ outcome: 'flushed' });
    expect(await log.turn()).toMatchObject({ outcome: 'idle', empty: true });
    expect(log.report).toEqual({ commits: 1, requests: 3, rows: 3, files: 1 });
    expect(source.calls).toEqual(['adopt 0', 'adopt 3']);
    const [commit] = await readLog(new FaultyStore(objects), topic, '0');
    expect(commit).toMatchObject({
      firstOffset: '0',
      nextOffset: '3',
      spoolKeys: [],
      watermarkMs: startMs + 1000,
      ingestedMaxMs: startMs + 2,
    });
  });

  it('begins a commit where the one before ended, though offsets are missing', async () => {
    const context = contextOf(new FaultyStore(objects), { TIDEMARK_FLUSH_ROWS: '2' });
    const log = new PartitionLog(context, new Listed([5, 9, 20]));
    await log.turn();
    await log.turn();
    const commits = await readLog(new FaultyStore(objects), topic, '0');
    expect(commits.map(({ firstOffset, nextOffset }) => [firstOffset, nextOffset])).toEqual([
      ['10', '21'],
      ['0', '10'],
    ]);
  });

  it('drops its files when another has committed, and goes on behind that commit', async () => {
    const ours = new FaultyStore(objects);
    const sources = [new Listed([0, 1, 2]), new Listed([0, 1, 2, 3])];
    const [fast, slow] = sources.map((source) => new PartitionLog(contextOf(ours), source));
    // Both know that the log is empty.
    const put = ours.put.bind(ours);
    ours.put = async (key, body, options) => {
      if (key.startsWith('signal=')) {
        ours.put = put;
        await fast?.turn();
      }
      return put(key, body, options);
    };
    expect(await slow?.turn()).toEqual({ outcome: 'conflict' });
    expect(await slow?.turn()).toEqual({ outcome: 'flushed' });
    expect(sources[1]?.calls).toEqual(['adopt 0', 'adopt 3', 'adopt 4']);
    const commits = await readLog(ours, topic, '0');
    expect(commits.map(({ rows }) => rows)).toEqual([1, 3]);
    const files = commits.flatMap((commit) => commit.files.map(({ key }) => key));
    expect(await keysUnder(ours, 'signal=')).toEqual(files.toSorted());
  });

  it('lets its source forget what it holds after a fault, and reads the log again', async () => {
    const store = new FaultyStore(objects);
    const source = new Listed([0, 1]);
    const log = new PartitionLog(contextOf(store), source);
    const put = store.put.bind(store);
    store.put = () =>
      Promise.reject(new TidemarkError('OBJECT_STORE', 'Cannot write', { retryable: true }));
    await expect(log.turn()).rejects.toMatchObject({ code: 'OBJECT_STORE' });
    store.put = put;
    expect(await log.turn()).toEqual({ outcome: 'flushed' });
    expect(source.calls).toEqual(['adopt 0', 'suspend', 'adopt 0', 'adopt 2']);
  });

  it('keeps dead letters of Kafka under their coordinates', async () => {
    const source = new Listed([7]);
    const look = source.look.bind(source);
    source.look = async () => {
      const backlog = await look();
      return {
        ...backlog,
        async *records(first, options) {
          for await (const record of backlog.records(first, options)) {
            yield record && { ...record, request: Uint8Array.of(0xff) };
          }
        },
      };
    };
    await new PartitionLog(contextOf(new FaultyStore(objects)), source).turn();
    expect(objects.get(`_dead/${topic}/0+7`)).toEqual(Uint8Array.of(0xff));
    const reason = new TextDecoder().decode(objects.get(`_dead/${topic}/0+7.json`));
    expect(JSON.parse(reason)).toMatchObject({ offset: 7, code: 'BAD_OTLP', bytes: 1 });
  });
});

describe("PartitionLog.turn() where our clock is two hours behind the store's", () => {
  class Ahead extends FaultyStore {
    override clockAheadMs(): number {
      return 7_200_000;
    }
  }

  it('takes of the spool what has waited for its flush age by the store, and vouches for less', async () => {
    const { key, body } = spoolObject(topic, startMs, 'r', ['span']);
    objects.set(key, body);
    const now = () => startMs + 61_000 - 7_200_000;
    const store = new Ahead(objects);
    const context = { ...contextOf(store), clock: { ...contextOf(store).clock, now }, once: false };
    const log = new PartitionLog(context, new SpoolSource(store, 'traces', now));
    expect(await log.turn()).toMatchObject({ outcome: 'flushed' });
    expect(log.state().watermarkMs).toBeLessThan(now());
  });
});
