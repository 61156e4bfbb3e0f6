/** The archiver with spans, metric points and log records at once: each signal has a log of its own. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, spoolName, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import type { ArchiverOptions } from '../../workers/archive.ts';
import { listPeriodFiles } from '../../workers/clients/commits/archive.ts';
import { archiveStatus } from '../../workers/clients/commits/status.ts';
import { metricOf, metricsRequest } from '../aggregator-as/pointmaker.ts';
import { logsRequest } from '../aggregator-as/logmaker.ts';
import { bytesField, fixed64Field, message } from '../aggregator-as/wire.ts';
import { duckdb, duckdbFiles } from '../support/archived.ts';
import { keysUnder, readLog, spoolObject, withFiles } from '../support/committed.ts';
import { FaultyStore } from '../support/faults.ts';

const signals: readonly Signal[] = ['traces', 'metrics', 'logs'];
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const hourMs = 3_600_000;
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;
let store: FaultyStore;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

beforeEach(() => {
  store = new FaultyStore(new Map());
});

function optionsOf(more: Partial<ArchiverOptions> = {}): ArchiverOptions {
  let nowMs = startMs + hourMs;
  return {
    store,
    settings: readSettings({}),
    transcoder,
    clock: {
      now: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      },
    },
    random: (byteCount) => randomBytes(byteCount),
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
    signal: new AbortController().signal,
    codeVersion: 'test',
    once: true,
    ...more,
  };
}

const timeNs = BigInt(startMs) * 1_000_000n;
const metric = metricOf('gauge', message(fixed64Field(3, timeNs), fixed64Field(6, 5n)));
const requests: Record<Signal, Uint8Array> = {
  traces: spoolObject(topics.traces, startMs, 'r', ['a', 'b', 'c']).body,
  metrics: metricsRequest(metric, metric),
  logs: logsRequest(message(fixed64Field(1, timeNs), bytesField(5, bytesField(1, 'it broke')))),
};

async function spool(signal: Signal, requestId: string): Promise<void> {
  const name = spoolName({ receivedMs: startMs, requestId, tenantId: 'acme' });
  await store.put(`${archiveSpoolPrefix(topics[signal])}${name}`, requests[signal]);
}

function files(signal: Signal) {
  return listPeriodFiles(store, signal, startMs - 24 * hourMs, startMs + 24 * hourMs);
}

describe('runArchiver() of all signals', () => {
  it('gives each signal files, a log and a watermark of its own', async () => {
    for (const signal of signals) {
      await spool(signal, 'r1');
      await spool(signal, 'r2');
    }
    const report = await runArchiver(optionsOf());
    expect(report).toMatchObject({ commits: 3, requests: 6, rows: 12 });
    expect(report.rowsOf).toEqual({ traces: 6, metrics: 4, logs: 2 });
    expect(await keysUnder(store, 'spool/')).toEqual([]);
    for (const signal of signals) {
      const period = await files(signal);
      expect(period.partitions).toMatchObject([{ topic: topics[signal], partition: 'spool' }]);
      expect(period.watermarkMs).toBe(startMs + hourMs - 60_000);
      const keys = period.files.map(({ key }) => key);
      for (const key of keys) expect(key).toMatch(new RegExp(`^signal=${signal}/year=2026/`));
      const [row] = await withFiles(store, keys, (paths) =>
        duckdb(
          `SELECT to_json({rows: count(*), tenants: list(DISTINCT TenantId),
             topics: list(DISTINCT Topic)})::VARCHAR AS row FROM ${duckdbFiles(paths)}`,
          'row',
        ),
      );
      const rows = report.rowsOf[signal];
      expect(row).toEqual({ rows, tenants: ['acme'], topics: [topics[signal]] });
    }
  });

  it('writes the version of its columns into the files of a signal', async () => {
    for (const signal of signals) await spool(signal, 'r1');
    await runArchiver(optionsOf());
    const keys = await keysUnder(store, 'signal=');
    const versions = await withFiles(store, keys, (paths) =>
      duckdb(
        `SELECT to_json(decode(value))::VARCHAR AS row
         FROM parquet_kv_metadata([${paths.map((path) => `'${path}'`).join(', ')}])
         WHERE decode(key) = 'tidemark.schema'`,
        'row',
      ),
    );
    // Spans have had their peers' columns since version 2.
    const wanted = keys.map((key) => (key.startsWith('signal=traces') ? '2' : '1'));
    expect([...versions].map(String).toSorted()).toEqual(wanted.toSorted());
  });

  it('archives only what it is told to', async () => {
    for (const signal of signals) await spool(signal, 'r1');
    const report = await runArchiver(optionsOf({ signals: ['logs'] }));
    expect(report.rowsOf).toEqual({ traces: 0, metrics: 0, logs: 1 });
    expect(await keysUnder(store, 'spool/')).toHaveLength(2);
  });

  it('archives the others when the log of one cannot be read, then says so', async () => {
    for (const signal of signals) await spool(signal, 'r1');
    await store.put(`_commits/${topics.metrics}/spool/0.json`, 'no commit');
    const run = runArchiver(optionsOf());
    await expect(run).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
    expect((await files('traces')).files).toHaveLength(2);
    expect((await files('logs')).files).toHaveLength(1);
    expect(await keysUnder(store, archiveSpoolPrefix(topics.metrics))).toHaveLength(1);
  });

  it('goes on with the others while one fails, and takes that up when it is mended', async () => {
    const stop = new AbortController();
    const registry = new Registry();
    let isBroken = true;
    const put = store.put.bind(store);
    store.put = (key, body, options) => {
      const isLogs = key.startsWith('signal=logs');
      if (!isLogs || !isBroken) return put(key, body, options);
      return Promise.reject(new TidemarkError('OBJECT_STORE', 'Cannot write', { retryable: true }));
    };
    const archived = async (signal: Signal, commits: number) => {
      for (;;) {
        if ((await readLog(store, topics[signal], 'spool')).length === commits) return;
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      }
    };
    await spool('logs', 'r1');
    await spool('traces', 'r1');
    const running = runArchiver(optionsOf({ once: false, signal: stop.signal, registry }));
    await archived('traces', 1);
    await spool('traces', 'r2');
    await archived('traces', 2);
    expect(await readLog(store, topics.logs, 'spool')).toEqual([]);
    isBroken = false;
    await archived('logs', 1);
    stop.abort();
    expect(await running).toMatchObject({ rowsOf: { traces: 6, metrics: 0, logs: 1 } });
    expect(await registry.metrics()).toMatch(
      /tidemark_archiver_errors_total\{signal="logs",code="OBJECT_STORE"\} [1-9]/,
    );
  });
});

describe('archiveStatus() of all signals', () => {
  it('shows the partitions of each, and what waits in each spool', async () => {
    for (const signal of signals) await spool(signal, 'r1');
    await runArchiver(optionsOf());
    await spool('logs', 'r2');
    const { partitions, spools } = await archiveStatus(store);
    expect(partitions.map(({ topic, nextOffset }) => [topic, nextOffset])).toEqual(
      signals.map((signal) => [topics[signal], '1']),
    );
    expect(spools).toMatchObject([
      { topic: topics.traces, objects: 0 },
      { topic: topics.metrics, objects: 0 },
      { topic: topics.logs, objects: 1, bytes: requests.logs.byteLength, oldestMs: startMs },
    ]);
  });
});
