/**
 * What group commit does to many small requests: calls to Kafka's proxy and parts in a real ClickHouse
 * a second, with it and without.
 */
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { readSettings } from '../../schemas/settings.ts';
import { startClickHouse } from '../../test/support/clickhouse.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { makeRequests, requestType } from '../payload.ts';
import { load } from './load.ts';
import { cpuMs, headers, startSink, startWorkerd, varsOf } from './program.ts';

const perSecond = 1000;
const seconds = 10;
const spansPerRequest = 5;
const connections = 400;
const groupMs = [0, 100];

interface Figures {
  readonly produces: number;
  readonly parts: number;
  readonly cpu: number;
}

const units: Record<keyof Figures, string> = {
  produces: 'produce calls/s',
  parts: 'ClickHouse parts/s',
  cpu: 'µs of workerd CPU/request',
};

type Print = (name: string, value: number, unit: string, more: object) => void;

/** 1,000 small requests a second, each by itself and in groups. */
export async function measureGroups(directory: string, print: Print): Promise<void> {
  const bodies = smallBodies(perSecond * (seconds + 1));
  let alone: Figures | undefined;
  for (const ms of groupMs) {
    const { figures, rate, failed } = await measure(
      path.join(directory, `group-${ms}`),
      ms,
      bodies,
    );
    const way = ms === 0 ? 'each by itself' : `groups of ${ms} ms`;
    for (const name of ['produces', 'parts', 'cpu'] as const) {
      const ratio = alone && Math.round((alone[name] / figures[name]) * 100) / 100;
      const versus = alone === undefined ? '' : 'each by itself';
      const label = `${rate} requests/s of ${spansPerRequest} spans, ${way}`;
      print(label, figures[name], units[name], { versus, ratio, failed });
    }
    alone ??= figures;
  }
}

async function measure(directory: string, ms: number, bodies: readonly Uint8Array[]) {
  const [sink, server] = await Promise.all([startSink(), startClickHouse()]);
  const clickhouse = openClickHouse({ ...readSettings({}), CLICKHOUSE_URL: server.url });
  await migrate(clickhouse);
  const vars = { ...varsOf(sink.url), CLICKHOUSE_URL: server.url, TIDEMARK_GROUP_MS: String(ms) };
  const worker = await startWorkerd(directory, vars);
  try {
    const sent = { url: `${worker.url}/v1/traces`, headers, connections, perSecond };
    await load({ ...sent, bodies: bodies.slice(0, perSecond), requests: perSecond });
    const [calls, parts, cpu] = [await sink.counts(), await partsOf(clickhouse), cpuMs(worker.pid)];
    const rest = bodies.slice(perSecond);
    const result = await load({ ...sent, bodies: rest, requests: rest.length });
    const figures: Figures = {
      produces: ((await sink.counts()).produces - calls.produces) / result.seconds,
      parts: ((await partsOf(clickhouse)) - parts) / result.seconds,
      cpu: ((cpuMs(worker.pid) - cpu) * 1000) / result.sent,
    };
    return { figures, rate: Math.round(result.sent / result.seconds), failed: result.failed };
  } finally {
    await clickhouse.close();
    await Promise.all([worker.stop(), server.stop(), sink.stop()]);
  }
}

/** Parts that were ever inserted: each has a block number of its own in its partition. */
async function partsOf(clickhouse: ClickHouse): Promise<number> {
  const rows = await clickhouse.query<{ parts: number }>(
    `SELECT toFloat64(sum(last)) AS parts FROM (
       SELECT max(max_block_number) AS last FROM system.parts
       WHERE database = currentDatabase() AND table = 'otel_traces' GROUP BY partition)`,
    {},
  );
  return rows[0]?.parts ?? 0;
}

interface Request {
  resourceSpans: { scopeSpans: { spans: { spanId: Uint8Array }[] }[] }[];
}

function spansOf({ resourceSpans }: Request) {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans);
}

/** Requests of a few spans each, no two alike: ClickHouse would drop the second of two. */
function smallBodies(count: number): Uint8Array[] {
  const type = requestType();
  const templates = makeRequests(type, 32).map((body) => {
    const request = type.decode(body) as unknown as Request;
    for (const scope of spansOf(request)) scope.spans = scope.spans.slice(0, spansPerRequest);
    return type.encode(request).finish();
  });
  return Array.from({ length: count }, (_, index) => {
    const request = type.decode(templates[index % templates.length] ?? new Uint8Array());
    for (const { spans } of spansOf(request as unknown as Request)) {
      for (const [place, span] of spans.entries()) {
        span.spanId = Uint8Array.of(
          1,
          place,
          ...new Uint8Array(Uint32Array.of(index).buffer),
          1,
          1,
        );
      }
    }
    return gzipSync(type.encode(request).finish());
  });
}
