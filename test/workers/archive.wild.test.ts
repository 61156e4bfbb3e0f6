/**
 * Wild clocks (otlp-http.md): items whose times are further from their receipt than the settings allow
 * lie under the receive hour in files of their own, flagged, and open no hour of theirs; late ones that
 * are not wild lie in their own hour.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, hourPrefix, spoolName, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import { listPeriodFiles } from '../../workers/clients/commits/archive.ts';
import { logsRequest } from '../aggregator-as/logmaker.ts';
import { metricOf, metricsRequest } from '../aggregator-as/pointmaker.ts';
import { bytesField, fixed64Field, message } from '../aggregator-as/wire.ts';
import { duckdb, duckdbFiles } from '../support/archived.ts';
import { keysUnder } from '../support/committed.ts';
import { FaultyStore } from '../support/faults.ts';
import { encodeTraces } from '../support/otlp.ts';

const hourMs = 3_600_000;
const hourNs = 3_600_000_000_000n;
const receivedMs = Date.UTC(2026, 10, 22, 13, 30);
const receivedNs = BigInt(receivedMs) * 1_000_000n;
const dayNs = 24n * hourNs;
const timeColumns = { traces: 'Timestamp', metrics: 'TimeUnix', logs: 'Timestamp' };

const tame = [
  receivedNs,
  receivedNs + dayNs,
  receivedNs - 31n * dayNs,
  receivedNs - 2n * hourNs,
  receivedNs - 2n * hourNs + 1n,
];
const wild = [
  receivedNs + dayNs + 1_000_000n,
  receivedNs - 31n * dayNs - 1_000_000n,
  receivedNs + 1000n * dayNs,
  1n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];

let directory: string;
let transcoder: WebAssembly.Module;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-wild-'));
  const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

afterAll(async () => rm(directory, { recursive: true }));

function requestOf(signal: Signal, times: readonly bigint[]): Uint8Array {
  if (signal === 'metrics') {
    const points = times.map((time) => message(fixed64Field(3, time), fixed64Field(6, 5n)));
    return metricsRequest(...points.map((point) => metricOf('gauge', point)));
  }
  if (signal === 'logs') {
    const body = bytesField(5, bytesField(1, 'line'));
    return logsRequest(...times.map((time) => message(fixed64Field(1, time), body)));
  }
  const spans = times.map((time, index) => ({
    traceId: Buffer.alloc(16, index + 1),
    spanId: Buffer.alloc(8, index + 1),
    startTimeUnixNano: String(time),
    endTimeUnixNano: String(time),
  }));
  return encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** Archives one request. Returns the store. */
async function archive(signal: Signal, times: readonly bigint[]): Promise<FaultyStore> {
  const store = new FaultyStore(new Map());
  const name = spoolName({ receivedMs, requestId: 'r', tenantId: 'acme' });
  await store.put(`${archiveSpoolPrefix(topics[signal])}${name}`, requestOf(signal, times));
  await runArchiver({
    store,
    settings: readSettings({}),
    transcoder,
    clock: { now: () => receivedMs + hourMs, sleep: () => Promise.resolve() },
    random: (byteCount) => randomBytes(byteCount),
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
    signal: new AbortController().signal,
    codeVersion: 'test',
    signals: [signal],
    once: true,
  });
  return store;
}

async function timesOf(store: FaultyStore, signal: Signal, keys: readonly string[]) {
  const paths = await Promise.all(
    keys.map(async (key, index) => {
      const path = join(directory, `${signal}-${index}.parquet`);
      await writeFile(path, (await store.get(key)) ?? new Uint8Array());
      return path;
    }),
  );
  const rows = await duckdb(
    `SELECT to_json({time: epoch_ns("${timeColumns[signal]}")::VARCHAR, flag: "Quarantined"})
       ::VARCHAR AS row FROM ${duckdbFiles(paths)}`,
    'row',
  );
  return rows.map(({ time, flag }) => [BigInt.asUintN(64, BigInt(String(time))), flag]);
}

/** For comparison in any order. */
function ordered(pairs: readonly unknown[][]): string[] {
  return pairs.map(String).toSorted();
}

describe('runArchiver() of wild times', () => {
  it.each(['traces', 'metrics', 'logs'] as const)(
    'keeps %s within the windows in their own hours, and the others apart under the receive hour',
    async (signal) => {
      const store = await archive(signal, [...tame, ...wild]);
      const ownHour = (time: bigint) =>
        hourPrefix(signal, Number((time / hourNs) * (hourNs / 1_000_000n)));
      const receiveHour = ownHour(receivedNs);
      const keys = await keysUnder(store, 'signal=');
      const folders = keys.map((key) => key.slice(0, key.lastIndexOf('/') + 1));
      expect(folders.toSorted()).toEqual([...new Set(tame.map(ownHour)), receiveHour].toSorted());
      const from = receivedMs - 32 * 24 * hourMs;
      const { files } = await listPeriodFiles(
        store,
        signal,
        from - (from % hourMs),
        receivedMs - (receivedMs % hourMs) + 26 * hourMs,
      );
      const apart = files.filter(({ quarantined }) => quarantined).map(({ key }) => key);
      expect(apart).toHaveLength(1);
      expect(apart[0]?.startsWith(receiveHour)).toBe(true);
      expect(ordered(await timesOf(store, signal, apart))).toEqual(
        ordered(wild.map((time) => [time, true])),
      );
      const own = files.filter(({ quarantined }) => !quarantined).map(({ key }) => key);
      expect(ordered(await timesOf(store, signal, own))).toEqual(
        ordered(tame.map((time) => [time, false])),
      );
    },
  );

  it('makes one file of a thousand wild hours, and no more files of late data than hours', async () => {
    const wildTimes = Array.from(
      { length: 1000 },
      (_, index) => receivedNs + 48n * hourNs * BigInt(index + 1),
    );
    const late = Array.from(
      { length: 1000 },
      (_, index) => receivedNs - hourNs * BigInt(index % 24),
    );
    const store = await archive('logs', [...wildTimes, ...late]);
    const keys = await keysUnder(store, 'signal=');
    expect(keys).toHaveLength(1 + 24);
  });
});
