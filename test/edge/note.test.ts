/** The edge's books on the real R2: what a note says, when notes are written, and that none is lost. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { Meter } from '../../edge/meter.ts';
import { Notes } from '../../edge/note.ts';
import { notesKeptMax } from '../../schemas/limits.ts';
import type { Note } from '../../schemas/note.ts';
import { readSettings } from '../../schemas/settings.ts';
import { clear, keys, nowMs, requestBytes, span, stack, stored } from './stack.ts';
import type { Insert } from './stack.ts';

beforeEach(clear);

const atOnce = { TIDEMARK_LEDGER_MS: '0' };

function note(index: number): Note {
  return {
    receivedMs: nowMs + index,
    tenantId: 'acme',
    signal: 'logs',
    requestId: `r${index}`,
    recordedMs: nowMs,
    token: 't',
    state: 'stored',
    accepted: 3,
    quarantined: 1,
    rejected: { attributes: 2 },
  };
}

/** The notes in the body of an insert. */
function notesIn(bytes: Uint8Array | undefined): Record<string, unknown>[] {
  const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function isNotes({ url }: Insert): boolean {
  return url.searchParams.get('query') === 'INSERT INTO ledger_received FORMAT JSONEachRow';
}

/** Notes with a ClickHouse that answers with such statuses in order, and a pause that the test ends. */
function notes(statuses: readonly number[] = [], settings: Record<string, string> = {}) {
  const inserts: { token: string | null; ids: unknown[] }[] = [];
  const pauses: (() => void)[] = [];
  const [meter, answers] = [new Meter(), [...statuses]];
  const bucket = { isWell: true };
  let ms = nowMs;
  const own = new Notes(readSettings(settings), {
    meter,
    warn: () => undefined,
    now: () => ms,
    timeout: (after) => AbortSignal.timeout(after),
    pause: () => new Promise((resolve) => pauses.push(resolve)),
    bucket: {
      put: (key, value) =>
        bucket.isWell ? env.ARCHIVE.put(key, value) : Promise.reject(new Error('R2 is gone')),
    },
    fetch: async (url, init) => {
      const bytes = new Uint8Array(await new Response(init.body).arrayBuffer());
      const token = new URL(url).searchParams.get('insert_deduplication_token');
      inserts.push({ token, ids: notesIn(bytes).map(({ request_id: id }) => id) });
      return new Response(null, { status: answers.shift() ?? 200 });
    },
  });
  const wait = (afterMs: number) => (ms += afterMs);
  return { own, inserts, pauses, meter, bucket, wait };
}

describe('Notes', () => {
  it('an edge notes what became of each request: stored, empty, refused', async () => {
    let isUp = true;
    const bucket = {
      get: (key: string) => env.ARCHIVE.get(key),
      delete: () => Promise.resolve(),
      list: (options: { prefix: string }) => env.ARCHIVE.list(options),
      put: (key: string, value: Uint8Array) =>
        isUp ? env.ARCHIVE.put(key, value) : Promise.reject(new Error('R2 is gone')),
    };
    const { post, inserts } = stack({ settings: atOnce, bucket });
    const bad = { traceId: '0'.repeat(32) };
    await post(requestBytes([span(0), span(1), span(2, bad)]));
    await post(requestBytes([span(3, bad)]));
    isUp = false;
    expect((await post(requestBytes([span(4)]))).status).toBe(503);
    const [token, , , last] = inserts.map(({ url }) =>
      url.searchParams.get('insert_deduplication_token'),
    );
    const about = {
      received_at: '2026-11-22 12:00:00.000',
      tenant_id: 'default',
      signal: 'traces',
      recorded_at: '2026-11-22 12:00:00.000',
      token: '',
      quarantined: 0,
    };
    const rejected = { trace_id_zero: 1 };
    expect(inserts.filter(isNotes).flatMap(({ rows }) => notesIn(rows))).toEqual([
      { ...about, request_id: 'request-1', state: 'stored', token, accepted: 2, rejected },
      { ...about, request_id: 'request-2', state: 'empty', accepted: 0, rejected },
      {
        ...about,
        request_id: 'request-3',
        state: 'refused',
        token: last,
        accepted: 1,
        rejected: {},
      },
    ]);
  });

  it('settle() has one request wait and write the notes of all', async () => {
    const { own, inserts, pauses } = notes();
    expect(own.settle()).toBeUndefined();
    void own.add(note(1));
    const writing = own.settle();
    void own.add(note(2));
    expect(own.settle()).toBeUndefined();
    expect(inserts).toEqual([]);
    pauses[0]?.();
    await writing;
    expect(inserts).toEqual([{ token: 'r1-2', ids: ['r1', 'r2'] }]);
    void own.add(note(3));
    expect(own.settle()).toBeInstanceOf(Promise);
  });

  it('settle() lets another request write when the one that was to has gone', () => {
    const { own, pauses, wait } = notes();
    void own.add(note(1));
    void own.settle();
    wait(29_000);
    expect(own.settle()).toBeUndefined();
    wait(2000);
    expect(own.settle()).toBeInstanceOf(Promise);
    expect(pauses).toHaveLength(2);
  });

  it('write() spools what ClickHouse does not take, where the drain finds it', async () => {
    const { own, meter } = notes([503]);
    void own.add(note(1));
    await own.write();
    const key = `spool/speed/ledger_received/${nowMs + 1}+r1-1+acme`;
    expect(await keys()).toEqual([key]);
    expect(notesIn(await stored(key))).toMatchObject([{ request_id: 'r1', accepted: 3 }]);
    expect(meter.text()).toContain('tidemark_edge_notes_total{result="spooled"} 1\n');
    const { edge, inserts } = stack();
    await edge.drain();
    expect(inserts.filter(isNotes).map(({ rows }) => notesIn(rows).length)).toEqual([1]);
    expect((await keys()).filter((each) => each.startsWith('spool/'))).toEqual([]);
  });

  it('write() keeps what neither takes, and gives it another token with more', async () => {
    const { own, inserts, bucket, meter } = notes([500]);
    bucket.isWell = false;
    void own.add(note(1));
    await own.write();
    void own.add(note(2));
    await own.write();
    expect(inserts).toEqual([
      { token: 'r1-1', ids: ['r1'] },
      { token: 'r1-2', ids: ['r1', 'r2'] },
    ]);
    expect(meter.text()).toContain('tidemark_edge_notes_total{result="failed"} 1\n');
  });

  it('add() holds no more than the bound, and counts what it lets go', () => {
    const { own, meter } = notes();
    for (let index = 0; index < notesKeptMax + 2; index += 1) void own.add(note(index));
    expect(meter.text()).toContain('tidemark_edge_notes_total{result="lost"} 2\n');
  });
});
