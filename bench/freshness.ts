/**
 * Measures how soon a request's spans can be queried, through the whole local stack: edge in workerd,
 * transcoder, ClickHouse, with the archiver at work. Prints one JSON line per figure.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request as open } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import protobuf from 'protobufjs';
import { freePorts } from '../dev/port.ts';
import { up } from '../dev/up.ts';
import { readSettings } from '../schemas/settings.ts';
import { openClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';

const requestSpans = 500;
const traceSpans = 20;
const markerBytes = 12;
const rates = [1, 10, 50];
const seconds = 10;
/** Pause between two looks; it is part of what is measured. */
const lookMs = 100;
/** Trace ids of one look. */
const lookIdsMax = 150;
/** Spans that are not visible after this count as this late: ClickHouse was too slow for them. */
const lostMs = 30_000;
const goalMs = 1000;

interface Sent {
  readonly traceId: string;
  readonly startMs: number;
}

function attribute(key: string, value: string) {
  return { key, value: { stringValue: value } };
}

function attributes(count: number, prefix: string) {
  return Array.from({ length: count }, (_, index) =>
    attribute(`${prefix}.key.${index}`, `value-${index}`),
  );
}

/** An encoded request of 500 spans, and where the markers of its trace ids are. */
function template(): { bytes: Buffer; markerOffsets: number[] } {
  const root = new protobuf.Root();
  const protos = path.join(import.meta.dirname, '../schemas/otlp');
  root.resolvePath = (_origin, target) => path.join(protos, target);
  root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
  const type = root.lookupType('ExportTraceServiceRequest');
  const marker = randomBytes(markerBytes);
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  const spans = Array.from({ length: requestSpans }, (_, index) => {
    const traceIndex = Buffer.alloc(4);
    traceIndex.writeUInt32BE(Math.floor(index / traceSpans));
    return {
      traceId: Buffer.concat([marker, traceIndex]),
      spanId: randomBytes(8),
      // A request's rows become visible together; looking for one span of it is cheap by its name.
      name: index === requestSpans - 1 ? 'marker' : `operation ${index % 40}`,
      kind: 1 + (index % 5),
      startTimeUnixNano: String(nowNs),
      endTimeUnixNano: String(nowNs + BigInt(index) * 100_000n + 1n),
      attributes: attributes(8, 'span'),
    };
  });
  const resource = {
    attributes: [attribute('service.name', 'freshness'), ...attributes(5, 'resource')],
  };
  const request = type.fromObject({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
  const bytes = Buffer.from(type.encode(request).finish());
  const markerOffsets: number[] = [];
  for (let at = bytes.indexOf(marker); at !== -1; at = bytes.indexOf(marker, at + 1)) {
    markerOffsets.push(at);
  }
  return { bytes, markerOffsets };
}

/** The template with trace ids that no other request has. */
function nextRequest({ bytes, markerOffsets }: ReturnType<typeof template>) {
  const marker = randomBytes(markerBytes);
  const body = Buffer.from(bytes);
  for (const offset of markerOffsets) marker.copy(body, offset);
  const lastTrace = (requestSpans / traceSpans - 1).toString(16).padStart(8, '0');
  return { body, traceId: marker.toString('hex') + lastTrace };
}

/** Looks again and again which of the waiting requests have come in. */
async function watch(clickhouse: ClickHouse, waiting: Sent[], isOver: () => boolean) {
  const delaysMs: number[] = [];
  while (!isOver() || waiting.length > 0) {
    await pause(lookMs);
    if (waiting.length === 0) continue;
    // As literals: a look with a parameter takes ClickHouse two and a half times the CPU.
    const ids = waiting.slice(0, lookIdsMax).map(({ traceId }) => `'${traceId}'`);
    const rows = await clickhouse.query<{ TraceId: string }>(
      `SELECT TraceId FROM otel_traces WHERE TenantId = 'default' AND ServiceName = 'freshness'
         AND SpanName = 'marker' AND TraceId IN (${ids.join(', ')})`,
    );
    const visibleMs = performance.now();
    const visible = new Set(rows.map(({ TraceId }) => TraceId));
    const found = waiting.filter(({ traceId }) => visible.has(traceId));
    delaysMs.push(...found.map(({ startMs }) => visibleMs - startMs));
    const late = waiting.filter(({ startMs }) => visibleMs - startMs > lostMs);
    delaysMs.push(...late.map(() => lostMs));
    const done = new Set([...visible, ...late.map(({ traceId }) => traceId)]);
    waiting.splice(0, waiting.length, ...waiting.filter(({ traceId }) => !done.has(traceId)));
  }
  return delaysMs.toSorted((a, b) => a - b);
}

async function measure(endpoint: string, clickhouse: ClickHouse, rate: number): Promise<void> {
  const source = template();
  const waiting: Sent[] = [];
  const answers: Promise<boolean>[] = [];
  let [isOver, refused] = [false, 0];
  const watching = watch(clickhouse, waiting, () => isOver);
  const beginMs = performance.now();
  for (let turn = 0; turn < rate * seconds; turn += 1) {
    // Open loop: the next request does not wait for the answer of the one before.
    await pause(Math.max(0, beginMs + (turn * 1000) / rate - performance.now()));
    const { body, traceId } = nextRequest(source);
    waiting.push({ traceId, startMs: performance.now() });
    answers.push(
      post(endpoint, body).then((ok) => {
        if (ok) return true;
        refused += 1;
        waiting.splice(
          waiting.findIndex((sent) => sent.traceId === traceId),
          1,
        );
        return false;
      }),
    );
  }
  await Promise.all(answers);
  isOver = true;
  const delaysMs = await watching;
  for (const q of [0.5, 0.99]) {
    const value = delaysMs[Math.ceil(q * delaysMs.length) - 1] ?? Number.NaN;
    print({
      bench: 'freshness',
      case: `${rate} requests/s of ${requestSpans} spans, p${q * 100}`,
      value: Math.round(value * 10) / 10,
      unit: 'ms',
      versus: `goal of ${goalMs} ms`,
      ratio: Math.round((goalMs / value) * 100) / 100,
      requests: delaysMs.length,
      refused,
      machine: `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`,
      node: process.version,
    });
  }
}

/** Without what `fetch` does around a request: the sender shares the processor with the stack. */
const agent = new Agent({ keepAlive: true });

/** Sends one request; whether the edge took it. A cut connection counts as refused: SDKs send again. */
function post(endpoint: string, body: Buffer): Promise<boolean> {
  const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length };
  return new Promise((resolve) => {
    const message = open(endpoint, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('close', () => resolve(answer.complete && answer.statusCode === 200));
    });
    message.once('error', () => resolve(false));
    message.end(body);
  });
}

/** The whole benchmark: a fresh stack, then each rate in turn. */
export async function freshness(): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-freshness-'));
  const [port, clickhousePort] = await freePorts(2);
  const settings = readSettings({
    ...process.env,
    TIDEMARK_DATA: directory,
    TIDEMARK_PORT: String(port),
    TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
    TIDEMARK_FLUSH_AGE_MS: '5000',
  });
  const stack = await up({
    settings,
    environment: process.env,
    monotonicMs: () => performance.now(),
    onLine: (part, line) => {
      if (!line.startsWith('{')) process.stderr.write(`${part}: ${line}\n`);
    },
    schedulesBatch: false,
  });
  const clickhouse = openClickHouse(stack.settings);
  try {
    // The first requests compile and open what every later one finds.
    const { body } = nextRequest(template());
    for (let turn = 0; turn < 3; turn += 1) await post(stack.endpoint, body);
    for (const rate of rates) await measure(stack.endpoint, clickhouse, rate);
  } finally {
    agent.destroy();
    await clickhouse.close();
    await stack.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (import.meta.main) await freshness();
