/**
 * Lookup, replay and import as users run them, between real programs: what a real Collector's file
 * exporter wrote comes into a real bucket, is found there, and is sent to another Collector and to
 * the edge in workerd.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../bin/main.ts';
import type { Context } from '../../bin/context.ts';
import { jsonToProtobuf } from '../../edge/json.ts';
import { archiveSpoolPrefix, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { metricsRequest } from '../aggregator-as/pointmaker.ts';
import { logsRequest } from '../aggregator-as/logmaker.ts';
import {
  bytesField,
  fixed64Field,
  message,
  textAttribute,
  varintField,
} from '../aggregator-as/wire.ts';
import { startCollector } from '../support/collector.ts';
import { archiveSpool } from '../support/history.ts';
import { linesOf } from '../support/items.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { encodeTraces } from '../support/otlp.ts';
import { collector, peerBuildMs } from '../support/peers.ts';
import { startReceived } from '../support/received.ts';

const peer = await collector();
const signals: readonly Signal[] = ['traces', 'logs', 'metrics'];
const nowMs = Math.floor(Date.now() / 1000) * 1000 - 60_000;
const timeNs = BigInt(nowMs) * 1_000_000n;
const service = 'lookup';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-lookup-'));
}, peerBuildMs);

afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a command in this process against the bucket. */
async function tidemark(bucket: Bucket, ...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const context: Context = {
    environment: { S3_ENDPOINT: bucket.endpoint },
    stdout: { write: (line: string) => out.push(line) },
    stderr: { write: (line: string) => err.push(line) },
    now: () => Date.now(),
    signal: new AbortController().signal,
  };
  const code = await main(args, context);
  return { code, stdout: out.join(''), stderr: err.join('') };
}

const traceId = Buffer.from('5b8efff798038103d269b633813fc60c', 'hex');

function span(number: number, parent?: number): object {
  return {
    traceId: number < 3 ? traceId : Buffer.alloc(16, number),
    spanId: Buffer.alloc(8, number),
    ...(parent !== undefined && { parentSpanId: Buffer.alloc(8, parent) }),
    name: `work ${number}`,
    kind: 2,
    startTimeUnixNano: String(timeNs + BigInt(number) * 1_000_000n),
    endTimeUnixNano: String(timeNs + 50_000_000n),
    attributes: [
      { key: 'number', value: { intValue: String(number) } },
      { key: 'ratio', value: { doubleValue: 0.1 } },
      { key: 'bytes', value: { bytesValue: Buffer.from('00ff', 'hex') } },
      {
        key: 'list',
        value: { arrayValue: { values: [{ stringValue: 'a' }, { boolValue: true }] } },
      },
    ],
    status: { code: 2, message: 'broken' },
    events: [{ timeUnixNano: String(timeNs), name: 'event', attributes: [] }],
    links: [{ traceId: Buffer.alloc(16, 9), spanId: Buffer.alloc(8, 9), traceState: 'a=b' }],
  };
}

const resource = bytesField(1, bytesField(1, textAttribute('service.name', service)));

function ofService(request: Uint8Array): Uint8Array {
  // Field 1 of the request; the resource goes in front of what it holds.
  const contents = request.subarray(request.length > 129 ? 3 : 2);
  return bytesField(1, message(resource, contents));
}

const requests: Record<Signal, Uint8Array> = {
  traces: encodeTraces({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        schemaUrl: 'https://example.com/schema',
        scopeSpans: [
          {
            scope: { name: 'lib', version: '1.2', attributes: [] },
            spans: [span(1), span(2, 1), ...Array.from({ length: 60 }, (_, n) => span(n + 3))],
          },
        ],
      },
    ],
  }),
  logs: ofService(
    logsRequest(
      ...Array.from({ length: 5 }, (_, number) =>
        message(
          fixed64Field(1, timeNs + BigInt(number)),
          varintField(2, 9),
          bytesField(3, 'INFO'),
          bytesField(5, bytesField(1, `line ${number}`)),
        ),
      ),
    ),
  ),
  metrics: ofService(
    metricsRequest(
      ...[1, 2, 3].map((number) =>
        message(
          bytesField(1, `metric.${number}`),
          bytesField(
            5,
            bytesField(1, message(fixed64Field(3, timeNs), fixed64Field(6, BigInt(number)))),
          ),
        ),
      ),
    ),
  ),
};

async function post(endpoint: string): Promise<void> {
  for (const signal of signals) {
    const response = await fetch(`${endpoint}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: requests[signal] as Uint8Array<ArrayBuffer>,
    });
    expect(response.status, await response.text()).toBe(200);
  }
}

function sorted(lines: readonly string[]): string[] {
  return lines.toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

const sent = signals.flatMap((signal) => linesOf(signal, requests[signal]));

/** All items in the spool of `bucket`, which nobody empties. */
async function spooled(bucket: Pick<Bucket, 'store'>): Promise<string[]> {
  const lines: string[] = [];
  for (const signal of signals) {
    for await (const page of bucket.store.list(archiveSpoolPrefix(topics[signal]))) {
      for (const { key } of page) {
        const body = await bucket.store.get(key);
        if (body) lines.push(...linesOf(signal, body));
      }
    }
  }
  return lines;
}

const formats = {
  lines: { format: 'json' },
  frames: { format: 'proto' },
  'compressed lines': { format: 'json', compression: 'zstd' },
  'compressed frames': { format: 'proto', compression: 'zstd' },
};

describe.skipIf('missing' in peer)('with a real Collector', () => {
  const program = 'path' in peer ? peer.path : '';

  it('import takes what the file exporter writes, in every form of it', async () => {
    const exporters = Object.fromEntries(
      Object.entries(formats).map(([name, format]) => {
        const file = path.join(directory, name.replace(' ', '-'));
        return [
          `file/${name.replace(' ', '-')}`,
          { path: file, flush_interval: '100ms', ...format },
        ];
      }),
    );
    const running = await startCollector(program, exporters);
    await post(running.endpoint);
    await running.stop();
    expect(readdirSync(directory).toSorted()).toHaveLength(4);
    for (const name of readdirSync(directory)) {
      const bucket = await startBucket();
      const file = path.join(directory, name);
      const first = await tidemark(bucket, 'import', file, '--json');
      expect(first, `${name}: ${first.stderr}`).toMatchObject({ code: 0 });
      expect(JSON.parse(first.stdout)).toMatchObject({ records: 3, spooled: 3, faults: 0 });
      expect(sorted(await spooled(bucket)), name).toEqual(sorted(sent));
      const again = await tidemark(bucket, 'import', file, '--json');
      expect(JSON.parse(again.stdout)).toMatchObject({ filesKnown: 1, spooled: 0 });
      await bucket.close();
    }
  });

  it('replay brings everything that was archived to a Collector and to the edge', async () => {
    const bucket = await startBucket();
    const received = await startReceived();
    const file = path.join(directory, 'replayed');
    const exporter = { file: { path: file, flush_interval: '100ms', format: 'proto' } };
    const running = await startCollector(program, exporter);
    try {
      expect(await tidemark(bucket, 'import', path.join(directory, 'frames'))).toMatchObject({
        code: 0,
      });
      await archiveSpool(bucket.store);
      const range = ['--from', '1h', '--json'];
      const toEdge = await tidemark(bucket, 'replay', ...range, '--endpoint', received.endpoint);
      expect(toEdge, toEdge.stderr).toMatchObject({ code: 0 });
      expect(JSON.parse(toEdge.stdout)).toMatchObject({ items: sent.length, rejected: 0 });
      expect(await received.archived('traces', service)).toHaveLength(62);
      expect(await received.archived('logs', service)).toHaveLength(5);
      expect(await received.rows('otel_traces', service)).toHaveLength(62);
      const toOther = await tidemark(bucket, 'replay', ...range, '--endpoint', running.endpoint);
      expect(JSON.parse(toOther.stdout)).toMatchObject({ items: sent.length, rejected: 0 });
      await running.stop();
      const other = await startBucket();
      await tidemark(other, 'import', file);
      expect(sorted(await spooled(other))).toEqual(sorted(sent));
      await other.close();
    } finally {
      await running.stop();
      await received.close();
      await bucket.close();
    }
  });
});

describe('tidemark trace', () => {
  it('prints the tree for people, OTLP/JSON for programs, and says when there is none', async () => {
    const bucket = await startBucket();
    const file = path.join(directory, 'request.otlp');
    writeFileSync(file, requests.traces);
    expect(await tidemark(bucket, 'import', file)).toMatchObject({ code: 0 });
    await archiveSpool(bucket.store);
    const id = traceId.toString('hex');
    const tree = await tidemark(bucket, 'trace', id);
    expect(tree, tree.stderr).toMatchObject({ code: 0 });
    expect(tree.stdout).toMatch(/^trace 5b8e\w+: tenant default, 2 spans, 1 service, 49\.0 ms, /);
    expect(tree.stdout).toMatch(/^work 1 +lookup +server +\+0 ns +49\.0 ms +error: broken +█+$/m);
    expect(tree.stdout).toMatch(/^ {2}work 2 +lookup +server +\+1\.00 ms +48\.0 ms/m);
    const json = await tidemark(bucket, 'trace', id.toUpperCase(), '--json');
    // The edge's own reader of OTLP/JSON gives the message back.
    const bytes = jsonToProtobuf('ExportTraceServiceRequest', Buffer.from(json.stdout.trim()), 1e6);
    const wanted = linesOf('traces', requests.traces).slice(0, 2);
    expect(sorted(linesOf('traces', bytes))).toEqual(sorted(wanted));
    const none = await tidemark(bucket, 'trace', '1'.padStart(32, '0'));
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toMatch(/Found no span of 0+1 in 20\S+Z to 20\S+Z \(\d of 1 files read\)/);
    expect(await tidemark(bucket, 'trace', 'xyz')).toMatchObject({ code: 2 });
    await bucket.close();
  });
});
