/** The spool step: what is listed, what a listing vouches for, and how requests become columns. */
import { readFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SpanColumns } from '../../aggregator-as/host.ts';
import { archiveSpoolPrefix, topics } from '../../schemas/archive.ts';
import { objectGetsMax, spoolVisibleMsMax } from '../../schemas/limits.ts';
import { listSpool, takeSpool, watermarkAfter } from '../../workers/spool.ts';
import type { TakeOptions } from '../../workers/spool.ts';
import { spoolObject } from '../support/committed.ts';
import { FaultyStore } from '../support/faults.ts';
import type { Objects } from '../support/faults.ts';
import { encodeTraces } from '../support/otlp.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const listedMs = startMs + 10 * spoolVisibleMsMax;
const anything = { bytesMax: 1e9, objectsMax: 1e9 };
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;
let objects: Objects;
let store: FaultyStore;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

beforeEach(() => {
  objects = new Map();
  store = new FaultyStore(objects);
});

function spool(atMs: number, names: readonly string[]): string {
  const { key, body } = spoolObject(topic, atMs, `r${objects.size}`, names);
  objects.set(key, body);
  return key;
}

function list(bounds = anything, committed: ReadonlySet<string> = new Set()) {
  return listSpool(store, topic, committed, bounds, listedMs, {});
}

const options: TakeOptions = {
  topic,
  firstOffset: 100n,
  rowsMax: 1e9,
  pastMaxMs: 1e9,
  futureMaxMs: 1e9,
  oversized: new Set(),
};

describe('listSpool()', () => {
  it('gives what waits, oldest first, without what is committed', async () => {
    const [second, first, third] = [2, 1, 3].map((ms) => spool(startMs + ms, ['a']));
    const listing = await list(anything, new Set([third ?? '']));
    expect(listing.entries.map(({ key }) => key)).toEqual([first, second]);
    expect(listing.entries[0]).toMatchObject({ receivedMs: startMs + 1, tenantId: 'acme' });
    expect(listing).toMatchObject({ full: false, consumed: [third], listedMs });
  });

  it('stops at the bounds of a flush, with one object at least', async () => {
    for (let ms = 0; ms < 10; ms += 1) spool(startMs + ms, ['a']);
    expect((await list({ bytesMax: 1e9, objectsMax: 3 })).entries).toHaveLength(3);
    const tiny = await list({ bytesMax: 1, objectsMax: 1e9 });
    expect(tiny).toMatchObject({ full: true });
    expect(tiny.entries).toHaveLength(1);
  });

  it('reads no more pages of a long backlog than it needs', async () => {
    for (let ms = 0; ms < 5000; ms += 1)
      objects.set(`${archiveSpoolPrefix(topic)}${ms}`, Uint8Array.of(1));
    await list({ bytesMax: 1e9, objectsMax: 1500 });
    expect(store.operations).toHaveLength(2);
  });
});

describe('watermarkAfter()', () => {
  it('is the time of the oldest request left behind', async () => {
    for (const ms of [1, 2, 3]) spool(startMs + ms, ['a']);
    const listing = await list();
    expect(watermarkAfter(listing, 0)).toBe(startMs + 1);
    expect(watermarkAfter(listing, 2)).toBe(startMs + 3);
  });

  it('leaves time for requests on their way when nothing is left behind', async () => {
    spool(listedMs - 1, ['a']);
    const all = await list();
    expect(watermarkAfter(all, 1)).toBe(listedMs - spoolVisibleMsMax);
    expect(watermarkAfter(all, 0)).toBe(listedMs - spoolVisibleMsMax);
  });

  it('vouches for nothing behind a listing that was cut', async () => {
    for (const ms of [1, 2, 2, 3]) spool(startMs + ms, ['a']);
    const cut = await list({ bytesMax: 1e9, objectsMax: 2 });
    expect(watermarkAfter(cut, 2)).toBe(startMs + 2);
  });

  it('takes a stray object to be as old as the one before it', async () => {
    objects.set(`${archiveSpoolPrefix(topic)}stray`, Uint8Array.of(1));
    spool(startMs, ['a']);
    const listing = await list({ bytesMax: 1e9, objectsMax: 2 });
    expect(listing.entries[1]).toMatchObject({ tenantId: undefined, receivedMs: startMs });
    expect(watermarkAfter(listing, 2)).toBe(startMs);
  });
});

describe('takeSpool()', () => {
  it('gives each request the next offset, bad ones and empty ones too', async () => {
    const keys = [['a', 'b'], [], ['c']].map((names, ms) => spool(startMs + ms, names));
    objects.set(keys[1] ?? '', Uint8Array.of(0xff));
    const columns = new SpanColumns(transcoder);
    const taken = await takeSpool(store, await list(), columns, options);
    expect(taken?.entries.map(({ key }) => key)).toEqual(keys);
    expect(taken).toMatchObject({
      rows: 3,
      ingestedMaxMs: startMs + 2,
      rejected: { undecodable_request: 1 },
      dead: [{ entry: { key: keys[1] }, error: { code: 'BAD_OTLP' } }],
    });
    expect(columns.rowCount).toBe(3);
  });

  it('counts refused spans by reason', async () => {
    const key = spool(startMs, []);
    const span = { name: 'a', traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1) };
    const bad = [
      { ...span, traceId: Buffer.alloc(15, 1) },
      { ...span, spanId: Buffer.alloc(8) },
    ];
    const spans = [span, ...bad, ...bad];
    objects.set(key, encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] }));
    const taken = await takeSpool(store, await list(), new SpanColumns(transcoder), options);
    expect(taken).toMatchObject({ rows: 1, rejected: { trace_id_length: 2, span_id_zero: 2 } });
  });

  it('stops at rowsMax, and leaves the rest of the listing for later', async () => {
    for (let ms = 0; ms < 5; ms += 1) spool(startMs + ms, ['a', 'b', 'c']);
    const columns = new SpanColumns(transcoder);
    const taken = await takeSpool(store, await list(), columns, { ...options, rowsMax: 4 });
    expect(taken).toMatchObject({ rows: 6 });
    expect(taken?.entries).toHaveLength(2);
  });

  it('stops before the request for which there is no memory', async () => {
    for (const ms of [0, 1]) spool(startMs + ms, ['y'.repeat(3_000_000)]);
    const columns = new SpanColumns(transcoder, { pagesMax: 80 });
    const taken = await takeSpool(store, await list(), columns, options);
    expect(taken).toMatchObject({ rows: 1, dead: [] });
  });

  it('gives up when another archiver has deleted an object', async () => {
    const [first] = [0, 1].map((ms) => spool(startMs + ms, ['a']));
    const listing = await list();
    objects.delete(first ?? '');
    expect(await takeSpool(store, listing, new SpanColumns(transcoder), options)).toBeUndefined();
  });

  it('reads at most objectGetsMax objects at once', async () => {
    for (let ms = 0; ms < 3 * objectGetsMax; ms += 1) spool(startMs + ms, ['a']);
    const listing = await list();
    let [running, most] = [0, 0];
    const get = store.get.bind(store);
    store.get = async (key, getOptions) => {
      running += 1;
      most = Math.max(most, running);
      const bytes = await get(key, getOptions);
      running -= 1;
      return bytes;
    };
    await takeSpool(store, listing, new SpanColumns(transcoder), options);
    expect(most).toBe(objectGetsMax);
  });
});
