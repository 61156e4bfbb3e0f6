/** Imports that are cut short, repeated and overtaken by the archiver: each request once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { openImport } from '../../workers/import.ts';
import type { ImportFile, ImportRequest } from '../../workers/import.ts';
import { keysUnder, readCommitted } from '../support/committed.ts';
import { FaultyStore } from '../support/faults.ts';
import { archiveSpool } from '../support/history.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';

const receivedMs = Date.UTC(2026, 9, 1, 12);
const file: ImportFile = { hash: 'a'.repeat(64), beginning: 'b'.repeat(64), tenantId: 'acme' };

let store: FaultyStore;

beforeEach(() => {
  store = new FaultyStore(new Map());
});

function request(number: number): ImportRequest {
  const span = {
    traceId: Buffer.alloc(16, number + 1),
    spanId: Buffer.alloc(8, 1),
    name: `n${String(number).padStart(3, '0')}`,
    startTimeUnixNano: String(BigInt(receivedMs) * 1_000_000n),
  };
  const body = encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
  return { signal: 'traces', request: body, receivedMs };
}

const requests = Array.from({ length: 40 }, (_, number) => request(number));
const names = requests.map((_, number) => `n${String(number).padStart(3, '0')}`);

describe('openImport()', () => {
  it('spools a request under a name of its content, once', async () => {
    const first = await openImport(store, file, Date.now);
    expect(await first.put(request(1))).toBe(true);
    expect(await first.put(request(1))).toBe(false);
    const key = (await keysUnder(store, 'spool/'))[0] ?? '';
    expect(key).toMatch(/^spool\/archive\/otlp_spans\/1790856000000\+import-[0-9a-f]{40}\+acme$/);
    expect(Buffer.from((await store.get(key)) ?? [])).toEqual(request(1).request);
  });

  it('archives each request once, wherever imports stop and archivers come in between', async () => {
    const random = seededRandom(5);
    let runs = 0;
    for (let isDone = false; !isDone; runs += 1) {
      const opened = await openImport(store, file, Date.now);
      // A killed import leaves some at the end under way: they are there, and it does not know it.
      const until = random() < 0.15 ? requests.length : Math.floor(random() * requests.length);
      for (const each of requests.slice(0, until)) await opened.put(each);
      if (random() < 0.6) await archiveSpool(store);
      isDone = until === requests.length;
      if (isDone) await opened.finish();
    }
    await archiveSpool(store);
    const committed = await readCommitted(store, 'otlp_spans');
    expect(committed.names).toEqual(names);
    expect(runs).toBeGreaterThan(2);
    expect(await openImport(store, file, Date.now)).toMatchObject({ isDone: true });
  });

  it('takes of a file that has grown only what is new', async () => {
    const short = await openImport(store, file, Date.now);
    for (const each of requests.slice(0, 30)) await short.put(each);
    await short.finish();
    await archiveSpool(store);
    const grown = await openImport(store, { ...file, hash: 'c'.repeat(64) }, Date.now);
    expect(grown.isDone).toBe(false);
    const put = await Promise.all(requests.map((each) => grown.put(each)));
    expect(put.filter(Boolean)).toHaveLength(10);
    await archiveSpool(store);
    expect((await readCommitted(store, 'otlp_spans')).names).toEqual(names);
  });
});
