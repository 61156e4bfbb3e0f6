/**
 * The edge's conductor: calls the steps of a request in order (authorize, receive, convert,
 * transcode, fan out, respond) and those of a tick (drain). It decides nothing that a step decides.
 */
import { Hono } from 'hono';
import type { Tally } from '../aggregator-as/host.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { drainMsMax } from '../schemas/limits.ts';
import { readSettings } from '../schemas/settings.ts';
import type { Settings } from '../schemas/settings.ts';
import { authorize, readAccess } from './authorize.ts';
import type { Access } from './authorize.ts';
import { allowOrigin, preflight, readOrigins } from './cors.ts';
import { drain } from './drain.ts';
import type { DrainBucket, DrainTools } from './drain.ts';
import { fanOut } from './fanout.ts';
import type { FanoutTools, SpoolBucket } from './fanout.ts';
import type { InsertTools } from './insert.ts';
import { jsonToProtobuf } from './json.ts';
import { Ledger } from './lease.ts';
import type { Lease } from './lease.ts';
import { Meter } from './meter.ts';
import { mediaTypeOf, receive } from './receive.ts';
import type { MediaType } from './receive.ts';
import { exported, refused, wrongMethod } from './respond.ts';
import { transcodeWith } from './transcode.ts';

/** Bindings of the Worker: the bucket, and any setting of `schemas/settings.ts` as text. */
export interface Env {
  readonly ARCHIVE: SpoolBucket & DrainBucket;
}

/** What the entry takes from the runtime. */
export interface Tools extends InsertTools {
  /** The compiled transcoder. */
  readonly module: WebAssembly.Module;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A name that no other request has: up to 64 letters, digits and dashes. */
  readonly requestId: () => string;
  readonly warn: (message: string) => void;
}

export interface Edge {
  readonly fetch: (request: Request) => Promise<Response>;
  /** One tick of the cron trigger. Never rejects: the next tick is the next try. */
  readonly drain: () => Promise<void>;
}

const tracesPath = '/v1/traces';

const greeting = `Tidemark takes OpenTelemetry traces over OTLP/HTTP.
Send them with POST to ${tracesPath} as application/x-protobuf or application/json; for an SDK:
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=<this address>${tracesPath}
`;

/** What one isolate keeps between requests. */
interface Isolate {
  readonly settings: Settings;
  readonly access: Access;
  readonly meter: Meter;
  readonly ledger: Ledger;
  readonly transcode: ReturnType<typeof transcodeWith>;
  readonly legs: FanoutTools & DrainTools;
  readonly tools: Tools;
}

/**
 * Makes an edge from the settings in `env`. Throws `SettingError` when they cannot be used. One
 * isolate keeps one: it holds the transcoder, the counters and the count of bytes in flight.
 */
export function createEdge(env: Env, tools: Tools): Edge {
  const settings = readSettings(textsOf(env));
  const meter = new Meter();
  const origins = readOrigins(settings.TIDEMARK_CORS_ORIGINS);
  const isolate: Isolate = {
    settings,
    access: readAccess(settings),
    meter,
    ledger: new Ledger(settings.TIDEMARK_IN_FLIGHT_BYTES_MAX, tools.now),
    transcode: transcodeWith(tools.module),
    legs: { ...tools, bucket: env.ARCHIVE, meter },
    tools,
  };
  const app = routes(isolate);
  let drainingSinceMs = Number.NEGATIVE_INFINITY;
  return {
    fetch: async (request) => {
      const response = await app.fetch(request);
      allowOrigin(response.headers, request.headers.get('origin'), origins);
      meter.add('requests_total', 1, `status="${response.status}"`);
      return response;
    },
    drain: async () => {
      if (tools.now() - drainingSinceMs < drainMsMax) return;
      drainingSinceMs = tools.now();
      try {
        await drain(settings, isolate.legs);
      } catch (error) {
        tools.warn(`Cannot drain the spool: ${error instanceof Error ? error.message : 'unknown'}`);
      } finally {
        drainingSinceMs = Number.NEGATIVE_INFINITY;
      }
    },
  };
}

function routes(isolate: Isolate): Hono {
  const { tools } = isolate;
  const app = new Hono({ getPath: (request) => normalize(new URL(request.url).pathname) });
  app.post(tracesPath, ({ req }) => answerTraces(isolate, req.raw));
  app.options(tracesPath, () => preflight('POST'));
  app.all(tracesPath, ({ req }) => wrongMethod(typeOf(req.raw), 'POST'));
  app.get('/', (context) => context.text(greeting));
  app.get('/healthz', (context) => context.text('ok\n'));
  app.get('/metrics', ({ req }) => metrics(isolate, req.raw));
  app.notFound(({ req }) => refused(typeOf(req.raw), unknownPath(req.path)));
  app.onError((error, { req }) => {
    if (!(error instanceof TidemarkError)) tools.warn(`Bug: ${error.stack ?? error.message}`);
    return refused(typeOf(req.raw), error);
  });
  return app;
}

async function answerTraces(isolate: Isolate, request: Request): Promise<Response> {
  const lease = isolate.ledger.lease();
  try {
    return exported(typeOf(request), await takeTraces(isolate, request, lease));
  } finally {
    lease.release();
  }
}

/** The steps of one request. Authorizes before the body is read; refuses before a sink sees it. */
async function takeTraces(isolate: Isolate, request: Request, lease: Lease): Promise<Tally> {
  const { settings, access, meter, tools, transcode, legs } = isolate;
  const tenantId = authorize(request.headers.get('authorization'), access);
  const limits = {
    bodyBytesMax: settings.TIDEMARK_BODY_BYTES_MAX,
    inflatedBytesMax: settings.TIDEMARK_INFLATED_BYTES_MAX,
  };
  const { mediaType, body } = await receive(request, limits, lease);
  const json = mediaType === 'application/json';
  const otlp = json ? convert(body, limits.inflatedBytesMax, lease) : body;
  const receivedMs = tools.now();
  const { tally, tables } = transcode('traces', otlp, {
    tenantId,
    receivedMs,
    pastMaxMs: settings.TIDEMARK_PAST_MAX_MS,
    futureMaxMs: settings.TIDEMARK_FUTURE_MAX_MS,
  });
  for (const { rows } of tables) lease.take(rows.length);
  // A request without a valid span leaves nothing behind, and needs no sink to be answered.
  if (tally.accepted > 0) {
    const parts = { tenantId, receivedMs, requestId: tools.requestId() };
    await fanOut({ signal: 'traces', parts: [{ parts, otlp }], tables }, settings, legs);
  }
  count(meter, tally);
  return tally;
}

function convert(json: Uint8Array, bytesMax: number, lease: Lease): Uint8Array {
  const otlp = jsonToProtobuf('ExportTraceServiceRequest', json, bytesMax);
  lease.take(otlp.length);
  lease.give(json.length);
  return otlp;
}

function metrics({ access, meter, ledger }: Isolate, request: Request): Response {
  authorize(request.headers.get('authorization'), access);
  meter.set('in_flight_bytes', ledger.bytes);
  return new Response(meter.text(), {
    headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' },
  });
}

/** The values of `env` that a setting can have; bindings are objects and no settings. */
function textsOf(env: object): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== 'object' && typeof value !== 'function') texts[name] = String(value);
  }
  return texts;
}

/** Slashes doubled or at the end, as joined endpoints have them, do not make another path. */
function normalize(path: string): string {
  return `/${path.split('/').filter(Boolean).join('/')}`;
}

/** The type of the answer: that of the request, or JSON when the request has none of ours. */
function typeOf(request: Request): MediaType {
  return mediaTypeOf(request.headers.get('content-type')) ?? 'application/json';
}

function unknownPath(path: string): TidemarkError {
  const signals = /^\/v1\/(metrics|logs)$/.test(path) ? ': metrics and logs are not taken yet' : '';
  return new TidemarkError('NOT_FOUND', `Cannot find this path${signals}: use ${tracesPath}`);
}

function count(meter: Meter, tally: Tally): void {
  meter.add('spans_accepted_total', tally.accepted);
  meter.add('spans_quarantined_total', tally.quarantined);
  meter.add('durations_clamped_total', tally.clampedDurations);
  meter.add('strings_invalid_utf8_total', tally.invalidUtf8);
  for (const [reason, spans] of Object.entries(tally.rejectedBy)) {
    meter.add('spans_rejected_total', spans, `reason="${reason}"`);
  }
}
