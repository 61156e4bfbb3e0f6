/**
 * The books on the real edge, object store, archiver and ClickHouse: balanced after mixed traffic and an outage;
 * then a batch is lost on purpose in each place, and the ledger names the place.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { balanceDay } from '../../batch/ledger.ts';
import type { Differences } from '../../batch/ledger/balance.ts';
import { copyCommits } from '../../batch/ledger/commits.ts';
import { findGone } from '../../batch/ledger/files.ts';
import { matchMinutes } from '../../batch/ledger/match.ts';
import { oldestNoteMs, storeSpooled } from '../../batch/ledger/spools.ts';
import { storeMinutes } from '../../batch/ledger/store.ts';
import { fileKey } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { outputKey, replacementKey } from '../../schemas/replacement.ts';
import { periodAt } from '../../schemas/period.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { Settings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { startEdge } from '../support/edge.ts';
import type { TestEdge } from '../support/edge.ts';
import { encodeRequest } from '../support/otlp.ts';
import { startOutage } from '../support/outage.ts';
import type { Outage, Weather } from '../support/outage.ts';

let server: TestClickHouse;
let front: Outage;
let edge: TestEdge;
let settings: Settings;
let clickhouse: ClickHouse;
let store: ObjectStore;
let transcoder: WebAssembly.Module;

/** What becomes of an insert into a table on its way from the edge. */
let weather: (table: string) => Weather = () => 'pass';

/** Far enough ahead that all that was sent is settled. */
const aheadMs = 600_000;
const now = () => Date.now() + aheadMs;

beforeAll(async () => {
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
  front = await startOutage(server.url, ({ url = '/' }) => {
    const query = new URL(url, 'http://front').searchParams.get('query') ?? '';
    return weather(/^INSERT INTO (\w+)/.exec(query)?.[1] ?? '');
  });
  edge = await startEdge({
    CLICKHOUSE_URL: front.endpoint,
    TIDEMARK_AUTH: 'off',
    TIDEMARK_LEDGER_MS: '0',
  });
  const endpoint = `${edge.origin}/cdn-cgi/local/r2/s3`;
  settings = readSettings({ CLICKHOUSE_URL: server.url, S3_ENDPOINT: endpoint });
  store = openStore(settings);
  const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  transcoder = await WebAssembly.compile(await readFile(wasm));
}, 120_000);

afterAll(async () => {
  store.close();
  await clickhouse.close();
  await edge.stop();
  await front.close();
  await server.stop();
});

let spans = 0;

/** A trace request of so many good spans, and so many whose trace id is all zero. */
function traces(good: number, bad = 0, agoMs = 0): Uint8Array {
  const startNs = BigInt(Date.now() - agoMs) * 1_000_000n;
  const all = Array.from({ length: good + bad }, (_, index) => ({
    traceId: Buffer.alloc(16, index < good ? 7 : 0),
    spanId: Buffer.from((spans += 1).toString(16).padStart(16, '0'), 'hex'),
    name: 'work',
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + 1000n),
  }));
  return encodeRequest('traces', { resourceSpans: [{ scopeSpans: [{ spans: all }] }] });
}

function points(count: number): Uint8Array {
  const timeUnixNano = String(BigInt(Date.now()) * 1_000_000n);
  const dataPoints = Array.from({ length: count }, () => ({ timeUnixNano, asInt: '1' }));
  const metrics = [
    { name: 'a', gauge: { dataPoints } },
    { name: 'b', sum: { dataPoints, aggregationTemporality: 2 } },
  ];
  return encodeRequest('metrics', { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
}

function records(count: number): Uint8Array {
  const timeUnixNano = String(BigInt(Date.now()) * 1_000_000n);
  const logRecords = Array.from({ length: count }, (_, index) => ({
    timeUnixNano,
    body: { stringValue: `line ${index} ${randomUUID()}` },
  }));
  return encodeRequest('logs', { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

/** Sends a request in a millisecond of its own. */
async function send(signal: Signal, body: Uint8Array): Promise<void> {
  const answer = await fetch(`${edge.origin}/v1/${signal}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: body as Uint8Array<ArrayBuffer>,
  });
  expect(answer.status).toBe(200);
}

const ignore = () => undefined;

/** Archives what waits, at a time when all of it is settled. */
async function archive(): Promise<void> {
  await runArchiver({
    store,
    settings,
    transcoder,
    clock: { now, sleep: () => Promise.resolve() },
    random: randomBytes,
    log: { info: ignore, debug: ignore, warn: ignore },
    signal: new AbortController().signal,
    codeVersion: 'test',
    once: true,
  });
}

async function drain(): Promise<void> {
  const answer = await fetch(`${edge.origin}/cdn-cgi/local/scheduled`);
  await answer.body?.cancel();
}

/** Sums of the books of what was received from `sinceMs` on, by signal. */
async function books(signal: Signal, sinceMs: number) {
  const sums = { received: 0, accepted: 0, rejected: 0, archived: 0, speed: 0, late: 0 };
  const differences: Differences = {};
  const firstDay = periodAt('day', sinceMs);
  const lastDay = periodAt('day', Date.now());
  const days = firstDay.name === lastDay.name ? [firstDay] : [firstDay, lastDay];
  for (const day of days) {
    const ledger = await balanceDay({
      store,
      clickhouse,
      settings,
      day,
      nowMs: now(),
      run: randomUUID(),
      of: signal,
    });
    for (const minute of ledger.minutes) {
      expect(minute.isSettled).toBe(true);
      sums.received += minute.accepted + minute.rejected;
      sums.accepted += minute.accepted;
      sums.rejected += minute.rejected;
      sums.archived += minute.archived;
      sums.speed += minute.speed;
      sums.late += minute.late;
      for (const [kind, items] of Object.entries(minute.differences)) {
        const name = kind as keyof Differences;
        differences[name] = (differences[name] ?? 0) + items;
      }
    }
  }
  return { ...sums, differences };
}

/** The differences that came between two looks at the books. */
function gained(before: Differences, after: Differences): Differences {
  const names = Object.keys({ ...before, ...after }) as (keyof Differences)[];
  const gains = names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)] as const);
  return Object.fromEntries(gains.filter(([, items]) => items !== 0));
}

const sinceMs = Date.now();

describe('balanceDay()', () => {
  it('is balanced after mixed traffic, rejects, retries, late data, an outage and its drain', async () => {
    const dayBefore = new Date(sinceMs - 86_400_000).toISOString().slice(0, 10);
    await clickhouse.insertRows('batch_runs', [
      {
        signal: 'traces',
        period_kind: 'day',
        run_id: 'run',
        input_hash: 'x',
        period_start: `${dayBefore}T00:00:00Z`,
        published_at: new Date(sinceMs - 1000).toISOString(),
      },
    ]);
    await send('traces', traces(5, 2));
    await send('traces', traces(0, 3));
    await send('traces', traces(4, 0, sinceMs - Date.parse(`${dayBefore}T12:00:00Z`)));
    const retried = traces(6);
    await send('traces', retried);
    await send('traces', retried);
    await send('metrics', points(3));
    await send('logs', records(9));
    weather = (table) => (table === '' ? 'pass' : 503);
    await send('traces', traces(7, 1));
    await send('metrics', points(2));
    weather = () => 'pass';
    await archive();
    // The notes of the outage wait as well, so its minute is open until they are there.
    await drain();
    expect(await books('traces', sinceMs)).toEqual({
      received: 34,
      accepted: 28,
      rejected: 6,
      archived: 28,
      speed: 22,
      late: 4,
      differences: { sent_again: 6 },
    });
    expect(await books('metrics', sinceMs)).toEqual({
      received: 10,
      accepted: 10,
      rejected: 0,
      archived: 10,
      speed: 10,
      late: 0,
      differences: {},
    });
    expect(await books('logs', sinceMs)).toEqual({
      received: 9,
      accepted: 9,
      rejected: 0,
      archived: 9,
      speed: 9,
      late: 0,
      differences: {},
    });
  }, 120_000);

  it('names the place where a batch was lost on purpose', async () => {
    const { differences: before } = await books('traces', sinceMs);
    expect(await books('logs', sinceMs)).toMatchObject({ received: 9, differences: {} });
    // ClickHouse says that it has the rows, and has not.
    weather = (table) => (table === 'otel_traces' ? 200 : 'pass');
    await send('traces', traces(11));
    // The same of the edge's own count.
    weather = (table) => (table === 'ledger_received' ? 200 : 'pass');
    await send('logs', records(13));
    // Rows wait while the table cannot be written to.
    weather = (table) => (table === 'otel_traces' ? 503 : 'pass');
    await send('traces', traces(17));
    weather = () => 'pass';
    // A record is lost before the archiver has seen it.
    const known = await spooled();
    await send('traces', traces(19));
    const lost = (await spooled()).filter((key) => !known.includes(key));
    await store.delete(lost);
    // A batch is inserted twice.
    await send('traces', traces(23));
    await clickhouse.command(
      `INSERT INTO otel_traces SELECT * FROM otel_traces
       WHERE IngestedAt = (SELECT max(IngestedAt) FROM otel_traces) SETTINGS insert_deduplicate = 0`,
    );
    // Somebody else writes to the table.
    await clickhouse.command(
      `INSERT INTO otel_traces (Timestamp, TraceId, SpanId, IngestedAt)
       SELECT now64(9), 'x', 'y', now64(3) FROM numbers(29)`,
    );
    await archive();
    // A file of the archive is deleted.
    await send('traces', traces(31));
    await archive();
    const [row] = await clickhouse.query<{ rows: string }>(
      'SELECT count() AS rows FROM ledger_files',
    );
    expect(Number(row?.rows)).toBeGreaterThan(0);
    await store.delete(await newestFile());
    const found = await books('traces', sinceMs);
    expect(gained(before, found.differences)).toEqual({
      missing_in_speed: 11,
      in_spool: 17,
      lost_before_archive: 19,
      duplicated_in_speed: 23,
      only_in_speed: 29,
      file_gone: 31,
    });
    const uncounted = { received: 9, archived: 22, speed: 22 };
    const named = { differences: { not_counted_at_edge: 13 } };
    expect(await books('logs', sinceMs)).toMatchObject({ ...uncounted, ...named });
    await drain();
    const drained = await books('traces', sinceMs);
    expect(gained(found.differences, drained.differences)).toEqual({ in_spool: -17 });
    // A repair has taken rows away because they were there twice.
    const day = new Date(sinceMs).toISOString().slice(0, 10);
    const repair = {
      signal: 'traces',
      day,
      repaired_at: new Date(now()).toISOString(),
      removed: 4,
    };
    await clickhouse.insertRows('ledger_repairs', [repair]);
    const repaired = await books('traces', sinceMs);
    expect(gained(drained.differences, repaired.differences)).toEqual({
      missing_in_speed: -4,
      removed_by_repair: 4,
    });
  }, 120_000);
});

/** A day of its own, whose notes and rows are put there by hand. */
const past = Date.parse('2026-11-10T00:00:00Z');

interface Case {
  readonly tenant: string;
  /** After the day's beginning, ms. */
  readonly at: number;
  readonly token: string;
  readonly accepted: number;
  readonly rows: number;
  readonly state?: string;
  readonly quarantined?: number;
  readonly recordedAt?: number;
}

function iso(afterMs: number): string {
  return new Date(past + afterMs).toISOString();
}

async function put(cases: readonly Case[]): Promise<void> {
  await clickhouse.insertRows(
    'ledger_received',
    cases.map(({ tenant, at, token, accepted, ...more }) => ({
      signal: 'traces',
      tenant_id: tenant,
      received_at: iso(at),
      recorded_at: iso(more.recordedAt ?? at),
      request_id: randomUUID(),
      token,
      accepted,
      state: more.state ?? 'stored',
      quarantined: more.quarantined ?? 0,
    })),
  );
  const rows = cases.flatMap(({ tenant, at, rows: count }) =>
    Array.from({ length: count }, () => ({
      Timestamp: iso(at),
      TenantId: tenant,
      IngestedAt: iso(at),
      TraceId: randomUUID(),
    })),
  );
  await clickhouse.insertRows('otel_traces', rows);
}

describe('matchMinutes()', () => {
  it('matches rows with notes by request: repeats, refusals, one millisecond, midnight, groups', async () => {
    await put([
      // Refused, though the rows were stored; sent again, and known by its token.
      { tenant: 'a', at: 1000, token: 'a', accepted: 3, rows: 3, state: 'refused' },
      { tenant: 'a', at: 2000, token: 'a', accepted: 3, rows: 0 },
      // Sent twice, and neither is there: it is missing once.
      { tenant: 'b', at: 3000, token: 'b', accepted: 5, rows: 0 },
      { tenant: 'b', at: 4000, token: 'b', accepted: 5, rows: 0 },
      // Refused and not stored; nor was it when it came again.
      { tenant: 'c', at: 5000, token: 'c', accepted: 2, rows: 0, state: 'refused' },
      { tenant: 'c', at: 6000, token: 'c', accepted: 2, rows: 0 },
      // Two of one millisecond, of which one is there.
      { tenant: 'd', at: 7000, token: 'd1', accepted: 4, rows: 4 },
      { tenant: 'd', at: 7000, token: 'd2', accepted: 6, rows: 0 },
      // One lost, another one doubled: they do not take each other away.
      { tenant: 'e', at: 8000, token: 'e1', accepted: 7, rows: 0 },
      { tenant: 'e', at: 9000, token: 'e2', accepted: 7, rows: 14 },
      // Sent again after midnight.
      { tenant: 'f', at: -100, token: 'f', accepted: 8, rows: 8 },
      { tenant: 'f', at: 100, token: 'f', accepted: 8, rows: 0 },
      // Quarantined items are in the archive only, copies nowhere.
      { tenant: 'g', at: 1000, token: 'g', accepted: 9, rows: 7, quarantined: 2 },
      { tenant: 'g', at: 1001, token: 'g', accepted: 1, rows: 0, state: 'copy' },
      // A group whose record began in the minute before.
      { tenant: 'h', at: 60_001, token: 'h', accepted: 10, rows: 10, recordedAt: 59_999 },
    ]);
    const minutes = await matchMinutes({
      clickhouse,
      of: 'traces',
      startMs: past,
      endMs: past + 86_400_000,
      run: 'none',
      pastMaxMs: 86_400_000,
      futureMaxMs: 86_400_000,
    });
    const found = minutes.map((minute) => {
      const { tenantId, minuteMs, keptOnce, missing, duplicated, storedThoughRefused } = minute;
      const { accepted, given, speed, unnoted } = minute;
      const differing = { keptOnce, missing, duplicated, storedThoughRefused, unnoted };
      const told = Object.entries(differing).filter(([, items]) => items > 0);
      const place = `${tenantId} ${(minuteMs - past) / 60_000}`;
      return [place, accepted, given, speed, Object.fromEntries(told)];
    });
    expect(found).toEqual([
      ['a 0', 3, 3, 3, { keptOnce: 3, storedThoughRefused: 3 }],
      ['b 0', 10, 10, 0, { keptOnce: 5, missing: 5 }],
      ['c 0', 2, 2, 0, { missing: 2 }],
      ['d 0', 10, 10, 4, { missing: 6 }],
      ['e 0', 14, 14, 14, { missing: 7, duplicated: 7 }],
      ['f 0', 8, 8, 0, { keptOnce: 8 }],
      ['g 0', 10, 9, 7, {}],
      ['h 0', 0, 10, 0, {}],
      ['h 1', 10, 0, 10, {}],
    ]);
  });
});

describe('the steps of balanceDay()', () => {
  it('copyCommits() copies each commit once', async () => {
    const archived = 'SELECT count() AS n, sum(rows) AS items FROM ledger_archived';
    const before = await clickhouse.query(archived);
    expect(await copyCommits({ store, clickhouse, of: 'traces', fromMs: 0 })).toBe(0);
    expect(await clickhouse.query(archived)).toEqual(before);
    await clickhouse.command('TRUNCATE TABLE ledger_archived');
    // What ended before the range is looked at once, to know that it did.
    const fromMs = Date.now() + 86_400_000;
    expect(await copyCommits({ store, clickhouse, of: 'logs', fromMs })).toBeGreaterThan(0);
    expect(await copyCommits({ store, clickhouse, of: 'logs', fromMs })).toBe(0);
    await clickhouse.command('TRUNCATE TABLE ledger_archived');
    for (const of of ['traces', 'logs', 'metrics'] as const) {
      expect(await copyCommits({ store, clickhouse, of, fromMs: 0 })).toBeGreaterThan(0);
    }
    expect(await clickhouse.query(archived)).toEqual(before);
  });

  it('findGone() knows what was replaced, and misses what took its place', async () => {
    const hourMs = Date.parse('2026-11-01T05:00:00Z');
    const parts = { topic: 'otlp_logs', partition: 'spool', firstOffset: 1n };
    const keyOf = (attempt: string) => fileKey('logs', hourMs, { ...parts, attempt });
    const names = ['kept', 'replaced', 'gone'].map(keyOf);
    await clickhouse.insertRows(
      'ledger_files',
      names.map((key) => ({
        signal: 'logs',
        ingested_max_at: new Date(hourMs).toISOString(),
        hour: '2026-11-01 05:00:00',
        key,
        rows: 5,
      })),
    );
    await store.put(keyOf('kept'), 'x');
    const key = outputKey('logs', hourMs, { sequence: 1, attempt: 'a' });
    const times = { hourMs, timeMinNs: '0', timeMaxNs: '0', quarantined: false };
    const ids = { idMin: '0'.repeat(32), idMax: 'f'.repeat(32) };
    const output = { key, bytes: 1, rows: 5, ...times, rowGroups: [{ rows: 5, ...ids }] };
    const replacement = {
      version: 1,
      signal: 'logs',
      hourMs,
      sequence: 1,
      reason: 'compaction',
      inputs: [{ key: keyOf('replaced'), rows: 5, bytes: 1 }],
      outputs: [output],
      writer: 'test',
      replacedAt: new Date(hourMs).toISOString(),
      codeVersion: 'test',
    };
    await store.put(replacementKey('logs', hourMs, 1), JSON.stringify(replacement));
    const of = { store, clickhouse, of: 'logs', fromMs: hourMs, toMs: hourMs + 1000 } as const;
    expect((await findGone(of)).map((file) => file.key)).toEqual([keyOf('gone'), key]);
    await store.put(key, 'x');
    expect((await findGone(of)).map((file) => file.key)).toEqual([keyOf('gone')]);
  });

  it('storeSpooled() tells what waits and what lies aside, by token', async () => {
    const at = 1_795_000_000_000;
    const keys = [
      `spool/speed/otel_metrics_sum/${at}+waits+acme`,
      `_dead/speed/otel_metrics_gauge/${at}+lies+acme`,
      `spool/speed/ledger_received/${at + 1}+note+acme`,
    ];
    await Promise.all(keys.map((key) => store.put(key, 'x')));
    await storeSpooled({ store, clickhouse, of: 'metrics', run: 'r', nowMs: Date.now() });
    const found = await clickhouse.query(
      "SELECT token, place FROM ledger_spooled WHERE run = 'r' ORDER BY token",
    );
    expect(found).toEqual([
      { token: 'lies', place: 'dead' },
      { token: 'waits', place: 'spool' },
    ]);
    expect(await oldestNoteMs(store)).toBe(at + 1);
    await store.delete(keys);
    expect(await oldestNoteMs(store)).toBeUndefined();
  });

  it('storeMinutes() leaves readers the last computation of a day, whole', async () => {
    const day = Date.parse('2026-11-02T00:00:00Z');
    const [minute] = await matchMinutes({
      clickhouse,
      of: 'traces',
      startMs: past,
      endMs: past + 86_400_000,
      run: 'none',
      pastMaxMs: 86_400_000,
      futureMaxMs: 86_400_000,
    });
    if (minute === undefined) throw new Error('there is a minute');
    const judged = { ...minute, isSettled: true, differences: { in_spool: 2 } };
    const at = (minutes: number) => ({ ...judged, minuteMs: day + minutes * 60_000 });
    await storeMinutes(clickhouse, 'traces', [at(0), at(1)], day + 1000);
    await storeMinutes(clickhouse, 'traces', [{ ...at(1), differences: {} }], day + 2000);
    const rows = await clickhouse.query(
      `SELECT toUnixTimestamp(minute) * 1000 AS ms, toUInt32(received) AS received, differences
       FROM ledger WHERE toDate(minute, 'UTC') = '2026-11-02'`,
    );
    const ms = String(day + 60_000);
    expect(rows).toEqual([{ ms, received: minute.accepted, differences: {} }]);
  });
});

async function spooled(): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list('spool/archive/otlp_spans/')) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

function offsetOf({ key }: { readonly key: string }): number {
  return Number(/\+(\d{19})\+/.exec(key)?.[1] ?? 0);
}

/** The key of the file that was stored last. */
async function newestFile(): Promise<string[]> {
  const entries: { readonly key: string; readonly modifiedMs?: number | undefined }[] = [];
  for await (const page of store.list('signal=traces/')) entries.push(...page);
  const newest = entries.toSorted((a, b) => offsetOf(b) - offsetOf(a))[0];
  return newest === undefined ? [] : [newest.key];
}
