/** Replays of a whole archive, with a receiver that fails on cue: what arrives, how often, and when. */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { pacer, replay } from '../../workers/replay.ts';
import type { ReplayOptions, ReplayReport, Send } from '../../workers/replay.ts';
import { beginJournal, noJournal, resumeJournal } from '../../workers/replay/journal.ts';
import type { Asked } from '../../workers/replay/journal.ts';
import { planReplay } from '../../workers/replay/plan.ts';
import { receivedMs } from '../aggregator-as/generate.ts';
import { Generator } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { expectLogs } from '../aggregator-as/logs.ts';
import { provenance } from '../aggregator-as/module.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { expectPoints } from '../aggregator-as/points.ts';
import { expectSpans } from '../aggregator-as/reference.ts';
import { FaultyStore } from '../support/faults.ts';
import { archive } from '../support/history.ts';
import { linesOf } from '../support/items.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';

const dayMs = 86_400_000;
const signals: readonly Signal[] = ['traces', 'logs', 'metrics'];
const asked: Asked = {
  signals,
  fromMs: receivedMs - 500 * dayMs,
  toMs: receivedMs + 2 * dayMs,
  tenantId: undefined,
  service: undefined,
  endpoint: 'http://127.0.0.1',
  dedup: false,
};

let store: FaultyStore;
let directory: string;

beforeEach(() => {
  store = new FaultyStore(new Map());
  directory = mkdtempSync(join(tmpdir(), 'tidemark-replay-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Takes everything and notes the items' lines, after a fault of `before` perhaps. */
class Receiver {
  readonly lines: string[] = [];
  readonly tenants: string[] = [];
  readonly sizes: number[] = [];

  readonly send: Send = (signal, request, tenantId) => {
    const lines = linesOf(signal, request);
    this.lines.push(...lines);
    this.tenants.push(tenantId);
    this.sizes.push(lines.length);
    return Promise.resolve({ outcome: 'taken', rejected: 0, message: '', bytes: request.length });
  };
}

async function run(send: Send | undefined, more: Partial<ReplayOptions> = {}, query = asked) {
  const journal = more.journal ?? noJournal(await planReplay(store, query));
  return await replay({
    store,
    query,
    dedup: false,
    send,
    pace: () => Promise.resolve(),
    onProgress: () => undefined,
    signal: new AbortController().signal,
    ...more,
    journal,
  });
}

function sorted(lines: readonly string[]): string[] {
  return lines.toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

const makers: Record<Signal, (random: () => number) => { request(): Uint8Array }> = {
  traces: (random) => new Generator(random),
  logs: (random) => new LogGenerator(random),
  metrics: (random) => new PointGenerator(random),
};

/** Lines of the items that are not rejected, by an independent judge. */
function accepted(signal: Signal, request: Uint8Array): string[] {
  const lines = linesOf(signal, request);
  const judged =
    signal === 'traces'
      ? expectSpans(request, provenance).spans
      : signal === 'logs'
        ? expectLogs(request, provenance).logs
        : expectPoints(request, provenance).points;
  return judged.map(({ itemIndex }) => lines[itemIndex] ?? '');
}

function span(number: number, more: object = {}): object {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(number + 1);
  return {
    traceId: id,
    spanId: id.subarray(0, 8),
    name: `span ${number}`,
    startTimeUnixNano: String(BigInt(receivedMs) * 1_000_000n),
    ...more,
  };
}

function spans(from: number, to: number, service = 'shop'): Uint8Array {
  const attributes = [{ key: 'service.name', value: { stringValue: service } }];
  const all = Array.from({ length: to - from }, (_, index) => span(from + index));
  return encodeTraces({
    resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: all }] }],
  });
}

function names(lines: readonly string[]): number[] {
  return lines
    .map((line) => {
      const { item } = JSON.parse(line) as { item: { name: string } };
      return Number(Buffer.from(item.name, 'hex').toString().slice('span '.length));
    })
    .toSorted((left, right) => left - right);
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);

async function chosen(query: Partial<Asked>): Promise<number[]> {
  const receiver = new Receiver();
  await run(receiver.send, {}, { ...asked, ...query });
  return names(receiver.lines);
}

const refuseAll: Send = () => Promise.resolve({ outcome: 'too large' });

describe('replay()', () => {
  it('sends every item of every signal once, in requests of one tenant', async () => {
    const seed = 7;
    console.info(`seed ${seed}`);
    const sent: string[] = [];
    for (const signal of signals) {
      const maker = makers[signal](seededRandom(seed));
      for (const tenantId of ['acme', 'other']) {
        const requests = Array.from({ length: 40 }, () => maker.request());
        sent.push(...requests.flatMap((request) => accepted(signal, request)));
        const flush = requests.map((request) => ({ receivedMs, request, tenantId }));
        await archive(store, signal, flush);
      }
    }
    const receiver = new Receiver();
    const report = await run(receiver.send, { itemsPerRequest: 50 });
    expect(report).toMatchObject({ items: sent.length, requests: receiver.sizes.length });
    expect(Math.max(...receiver.sizes)).toBeLessThanOrEqual(50);
    expect(new Set(receiver.tenants)).toEqual(new Set(['acme', 'other']));
    expect(sorted(receiver.lines)).toEqual(sorted(sent));
    const dry = await run(undefined, { itemsPerRequest: 50 });
    expect(dry).toMatchObject({ items: sent.length, requests: report.requests });
  });

  it('chooses by tenant, service and time', async () => {
    const own = spans(0, 10, 'shop');
    const others = spans(10, 20, 'cart');
    await archive(store, 'traces', [
      { receivedMs, request: own },
      { receivedMs, request: others },
      { receivedMs, request: spans(20, 30), tenantId: 'other' },
    ]);
    expect(await chosen({ tenantId: 'other' })).toEqual(range(20, 30));
    expect(await chosen({ tenantId: 'acme', service: 'cart' })).toEqual(range(10, 20));
    expect(await chosen({ service: 'shop' })).toEqual([...range(0, 10), ...range(20, 30)]);
    expect(await chosen({ toMs: receivedMs })).toEqual([]);
    expect(await chosen({ fromMs: receivedMs, toMs: receivedMs + 1 })).toHaveLength(30);
    expect(await chosen({ fromMs: receivedMs + 1 })).toEqual([]);
  });

  it('leaves out what repeats other items when asked, as the batch identifies them', async () => {
    await archive(store, 'traces', [{ receivedMs, request: spans(0, 50) }]);
    await archive(store, 'traces', [{ receivedMs: receivedMs + 5, request: spans(30, 80) }]);
    const server = encodeTraces({
      resourceSpans: [{ scopeSpans: [{ spans: [span(5, { kind: 2, name: 'span 200' })] }] }],
    });
    await archive(store, 'traces', [{ receivedMs, request: server }]);
    const receiver = new Receiver();
    const report = await run(receiver.send, { dedup: true });
    expect(names(receiver.lines)).toEqual([...range(0, 80), 200]);
    expect(report).toMatchObject({ items: 81, duplicates: 20 });
  });

  it('goes on where it was killed: nothing is missing, and only what was under way is repeated', async () => {
    await archive(store, 'traces', [{ receivedMs, request: spans(0, 300) }]);
    await archive(store, 'traces', [{ receivedMs, request: spans(300, 600) }]);
    const path = join(directory, 'state');
    const receiver = new Receiver();
    let [runs, killed]: [number, ReplayReport | undefined] = [0, undefined];
    while (!killed && runs < 100) {
      const journal =
        (await resumeJournal(path, asked)) ??
        (await beginJournal(path, asked, await planReplay(store, asked)));
      let left = 1 + (runs % 5);
      const send: Send = (...of) => {
        left -= 1;
        if (left < 0) throw new TidemarkError('SINK_FAILED', 'killed');
        return receiver.send(...of);
      };
      const options = { journal, itemsPerRequest: 20, requestsAtOnce: 2 };
      killed = await run(send, options).catch(() => undefined);
      runs += 1;
      // What was written half when it died is as if it were not there.
      if (!killed) await writeFile(path, '{"file":', { flag: 'a' });
    }
    expect(runs).toBeGreaterThan(5);
    expect([...new Set(names(receiver.lines))]).toEqual(range(0, 600));
    expect(receiver.lines.length).toBeLessThanOrEqual(600 + runs * 2 * 20);
    expect(killed).toMatchObject({ items: 600, resumed: true });
    const again = await resumeJournal(path, asked);
    if (!again) throw new Error('the state is gone');
    const before = receiver.lines.length;
    expect(await run(receiver.send, { journal: again })).toMatchObject({ items: 600 });
    expect(receiver.lines).toHaveLength(before);
  });

  it('halves requests that the receiver finds too large, and names an item that is', async () => {
    await archive(store, 'traces', [{ receivedMs, request: spans(0, 100) }]);
    const receiver = new Receiver();
    const small: Send = (signal, request, tenantId) =>
      linesOf(signal, request).length > 7
        ? Promise.resolve({ outcome: 'too large' })
        : receiver.send(signal, request, tenantId);
    expect(await run(small)).toMatchObject({ items: 100, requests: 16 });
    expect(names(receiver.lines)).toEqual(range(0, 100));
    await expect(run(refuseAll)).rejects.toThrow(/item of "signal=traces.*HTTP 413/);
  });
});

describe('resumeJournal()', () => {
  it('refuses the state of a replay that asked for something else, and what is no state', async () => {
    const path = join(directory, 'state');
    await beginJournal(path, asked, []);
    const other = { ...asked, service: 'cart' };
    await expect(resumeJournal(path, other)).rejects.toMatchObject({ code: 'BAD_SETTING' });
    await expect(beginJournal(path, asked, [])).rejects.toMatchObject({ code: 'SINK_FAILED' });
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('version', 'edition'));
    await expect(resumeJournal(path, asked)).rejects.toMatchObject({ code: 'BAD_SETTING' });
    expect(await resumeJournal(join(directory, 'none'), asked)).toBeUndefined();
  });
});

describe('pacer()', () => {
  it('lets items go no faster than the rate, whatever the size of requests', async () => {
    let nowMs = 1000;
    const sleep = (ms: number) => {
      nowMs += ms;
      return Promise.resolve();
    };
    const pace = pacer(100, () => nowMs, sleep);
    for (const items of [50, 10, 40, 200, 1]) await pace(items);
    // 300 items before the last one take three seconds.
    expect(nowMs).toBe(4000);
  });
});
