/**
 * Records of the real Collector's kafka exporter, of all signals and in every compression, end up in
 * Parquet; and an archiver with a large backlog of them needs no more memory than it is allowed.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { KafkaAdmin, OutgoingRecord } from '../../workers/clients/kafka/kafka.ts';
import { duckdb, duckdbFiles } from '../support/archived.ts';
import { startCollector } from '../support/collector.ts';
import { keysUnder, withFiles } from '../support/committed.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { encodeRequest } from '../support/otlp.ts';
import { collector, peerBuildMs } from '../support/peers.ts';

const otelcol = await collector();
const tidemark = fileURLToPath(new URL('../../bin/tidemark.js', import.meta.url));
const mib = 1024 * 1024;
const backlogBytes = 200 * mib;
const nameColumns = { traces: 'SpanName', metrics: 'MetricName', logs: 'Body' } as const;
const signals = Object.keys(nameColumns) as Signal[];
const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** A request with one item for each name. Spans of a pair are of one trace. */
function requestOf(signal: Signal, names: readonly string[]): Uint8Array {
  const nowNs = String(BigInt(Date.now()) * 1_000_000n);
  const attributes = [{ key: 'service.name', value: { stringValue: 'shop' } }];
  const resource = { attributes };
  if (signal === 'traces') {
    const spans = names.map((name, index) => ({
      name,
      traceId: Buffer.from(`trace ${Math.floor(index / 2)}`.padEnd(16, '.')),
      spanId: randomBytes(8),
      startTimeUnixNano: nowNs,
      endTimeUnixNano: nowNs,
    }));
    return encodeRequest(signal, { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
  }
  if (signal === 'metrics') {
    const dataPoints = [{ timeUnixNano: nowNs, asDouble: 1 }];
    const metrics = names.map((name) => ({ name, gauge: { dataPoints } }));
    return encodeRequest(signal, { resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
  }
  const logRecords = names.map((name) => ({ timeUnixNano: nowNs, body: { stringValue: name } }));
  return encodeRequest(signal, { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
}

function namesOf(signal: Signal): string[] {
  return ['a', 'b', 'c', 'd'].map((each) => `${signal} ${each}`);
}

/** Configuration of a kafka exporter for all signals. */
function exporterOf(brokers: string, compression: string): object {
  return {
    brokers: [brokers],
    producer: { compression },
    partition_traces_by_id: compression === 'zstd',
    ...Object.fromEntries(
      signals.map((signal) => [signal, { topic: topics[signal], encoding: 'otlp_proto' }]),
    ),
  };
}

/** Eight requests of a hundred large spans each. */
function largeRecords(count: number): OutgoingRecord[] {
  const pad = 'x'.repeat(1000);
  return Array.from({ length: 8 }, (_, index) => {
    const names = Array.from({ length: 100 }, (_each, item) => `${count} ${index} ${item} ${pad}`);
    return { key: null, value: Buffer.from(requestOf('traces', names)), timestampMs: 1 };
  });
}

describe.skipIf(noKafka || 'missing' in otelcol)('archiving what others write to Kafka', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let bucket: Bucket;

  beforeAll(async () => {
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    admin = await kafka.client.openAdmin();
    await admin.createTopics(signals.map((signal) => ({ topic: topics[signal], partitions: 2 })));
  }, peerBuildMs);

  afterAll(async () => {
    await admin.close();
    await Promise.all([kafka.close(), bucket.close()]);
  });

  /** Runs `tidemark archive`; returns its report and the most memory that it had, in bytes. */
  async function archive(
    args: readonly string[],
    environment: Record<string, string>,
    stopMs?: number,
  ): Promise<{ report: Record<string, unknown>; peakBytes: number }> {
    const child = spawn(process.execPath, [tidemark, 'archive', '--json', ...args], {
      env: {
        PATH: process.env['PATH'],
        KAFKA_BROKERS: kafka.brokers,
        S3_ENDPOINT: bucket.endpoint,
        TIDEMARK_LOG_LEVEL: 'warn',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = once(child, 'close');
    if (stopMs !== undefined) setTimeout(() => child.kill('SIGTERM'), stopMs);
    let peakBytes = 0;
    while (child.exitCode === null) {
      peakBytes = Math.max(peakBytes, peakOf(child.pid ?? 0));
      await pause(50);
    }
    await ended;
    expect(child.exitCode).toBe(0);
    return { report: JSON.parse(output) as Record<string, unknown>, peakBytes };
  }

  async function waiting(signal: Signal): Promise<number> {
    const all = await admin.offsets(topics[signal]);
    return all.reduce((sum, { high }) => sum + Number(high), 0);
  }

  it('keeps each item of a Collector that compresses in any way, by trace or not', async () => {
    const exporters = compressions.map(
      (name) => [`kafka/${name}`, exporterOf(kafka.brokers, name)] as const,
    );
    const running = await startCollector(
      'path' in otelcol ? otelcol.path : '',
      Object.fromEntries(exporters),
    );
    for (const signal of signals) {
      const answer = await fetch(`${running.endpoint}/v1/${signal}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(requestOf(signal, namesOf(signal))),
      });
      expect(answer.status, running.log()).toBe(200);
    }
    // One record each; by trace, one for each of two traces.
    const records = { traces: compressions.length + 1, metrics: 5, logs: 5 };
    for (const signal of signals) while ((await waiting(signal)) < records[signal]) await pause(50);
    await running.stop();
    const { report } = await archive(['--once'], {});
    expect(report).toMatchObject({ requests: 16, rowsOf: { traces: 20, metrics: 20, logs: 20 } });
    for (const signal of signals) {
      const files = await keysUnder(bucket.store, `signal=${signal}/`);
      const rows = await withFiles(bucket.store, files, (paths) =>
        duckdb(
          `SELECT to_json(t)::VARCHAR AS row FROM (
             SELECT ${nameColumns[signal]} AS name, ServiceName AS service, TenantId AS tenant,
               count(*) AS times
             FROM ${duckdbFiles(paths)} GROUP BY ALL ORDER BY name) t`,
          'row',
        ),
      );
      const own = { service: 'shop', tenant: 'default', times: compressions.length };
      expect(rows).toEqual(namesOf(signal).map((name) => ({ name, ...own })));
    }
  }, 120_000);

  it.skipIf(process.platform !== 'linux')(
    'drains a backlog of 200 MB in bounded memory',
    async () => {
      const bounds = {
        KAFKA_GROUP: 'backlog',
        TIDEMARK_HELD_BYTES_MAX: String(16 * mib),
        TIDEMARK_FLUSH_BYTES: String(4 * mib),
      };
      const idle = await archive([], { ...bounds, KAFKA_GROUP: 'idle' }, 6000);
      const producer = await kafka.client.openProducer();
      let bytes = 0;
      for (let count = 0; ; count += 1) {
        const records = largeRecords(count);
        await producer.produce({ topic: topics.traces, partition: count % 2, records });
        for (const { value } of records) bytes += value?.length ?? 0;
        if (bytes >= backlogBytes) break;
      }
      await producer.close();
      const { report, peakBytes } = await archive(['--once', '--signal', 'traces'], bounds);
      expect(Number(report['rows'])).toBe(Math.ceil(Number(report['requests'])) * 100);
      const aboveMib = Math.round((peakBytes - idle.peakBytes) / mib);
      console.info(`${Math.round(bytes / mib)} MiB drained, ${aboveMib} MiB above idle`);
      // 16 MiB held, 4 MiB in a flush, its columns and files, a fetch, and what waits for collection;
      // without a bound it would be the backlog beside these.
      expect(aboveMib).toBeLessThan(300);
    },
    240_000,
  );
});

/** The most memory that a process has had: `VmHWM` of proc(5). */
function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
