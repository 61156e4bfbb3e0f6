/**
 * The edge's conductor: says which path is answered by what, and calls the steps of a tick
 * (drain); those of an export request are in `export.ts`. It decides nothing that a step decides.
 */
import { Hono } from 'hono';
import { tenantPattern } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { drainMsMax } from '../schemas/limits.ts';
import { readSettings, settingTexts } from '../schemas/settings.ts';
import { authorize, readAccess } from './tenant/authorize.ts';
import { allowOrigin, preflight, readOrigins } from './tenant/cors.ts';
import type { GroupNamespace } from './commit.ts';
import { drain, showSpools } from './drain.ts';
import type { DrainBucket } from './drain.ts';
import { answerExport, typeOf } from './export.ts';
import type { Isolate, Tools } from './export.ts';
import type { KeyStore } from './tenant/keys.ts';
import { Ledger } from './lease.ts';
import { Limits } from './tenant/limit.ts';
import type { RateLimiter } from './tenant/limit.ts';
import { Meter } from './meter.ts';
import type { Telemetry } from './meter/point.ts';
import { Notes } from './note.ts';
import { refused, wrongMethod } from './respond.ts';
import { signalWires } from './signal.ts';
import type { SignalWire } from './signal.ts';
import { openSinks } from './sink.ts';
import type { CertificateBinding } from './sink.ts';
import type { SpoolBucket } from './spool.ts';
import { kindsOf, storeTick } from './tick.ts';
import type { TickBucket } from './tick.ts';
import { transcodeWith } from './transcode.ts';

/** Bindings of the Worker, and any setting of `schemas/settings.ts` as text. */
export interface Env {
  readonly ARCHIVE: SpoolBucket & DrainBucket & TickBucket;
  /** Durable Objects that merge the batches of many requests. */
  readonly GROUPS?: GroupNamespace;
  /** Records of API keys. */
  readonly KEYS?: KeyStore;
  readonly RATE_LIMIT_LOW?: RateLimiter;
  readonly RATE_LIMIT_STANDARD?: RateLimiter;
  readonly RATE_LIMIT_HIGH?: RateLimiter;
  /** The Analytics Engine dataset of the edge's own telemetry. */
  readonly TELEMETRY?: Telemetry;
  /** The client certificate for the Kafka REST proxy. */
  readonly KAFKA_REST_MTLS?: CertificateBinding;
}

export interface Edge {
  /** `keep` is given what goes on after the answer. */
  readonly fetch: (request: Request, keep?: (task: Promise<void>) => void) => Promise<Response>;
  /** One tick of the cron trigger. Never rejects: the next tick is the next try. */
  readonly drain: () => Promise<void>;
  /**
   * A cron trigger of that line, due at a time in ms since 1970: one of the batch's lines stores a tick for
   * its scheduler, any other drains. Never rejects.
   */
  readonly scheduled: (cron: string, dueMs: number) => Promise<void>;
}

const paths = Object.values(signalWires).map(({ path }) => path);

/** What nearly every request asks for, found without the router. */
const wireAt: ReadonlyMap<string, SignalWire> = new Map(
  Object.values(signalWires).map((wire) => [wire.path, wire]),
);

/**
 * Makes an edge from the settings in `env`. Throws `SettingError` when they cannot be used. One
 * isolate keeps one: it holds the transcoder, the counters and the count of bytes in flight.
 */
export function createEdge(env: Env, tools: Tools): Edge {
  const settings = readSettings(settingTexts(env));
  const meter = new Meter();
  const origins = readOrigins(settings.TIDEMARK_CORS_ORIGINS);
  const notes = new Notes(settings, { ...tools, bucket: env.ARCHIVE, meter });
  const isolate: Isolate = {
    settings,
    access: readAccess(settings, env.KEYS, tools),
    limits: new Limits(
      settings,
      { low: env.RATE_LIMIT_LOW, standard: env.RATE_LIMIT_STANDARD, high: env.RATE_LIMIT_HIGH },
      tools,
    ),
    meter,
    ledger: new Ledger(settings.TIDEMARK_IN_FLIGHT_BYTES_MAX, tools.now),
    transcoding: transcodeWith(
      tools.module,
      settings.TIDEMARK_TRANSCODER_BYTES_MAX,
      settings.TIDEMARK_ATTRIBUTES_MAX,
    ),
    groups: env.GROUPS,
    notes,
    telemetry: env.TELEMETRY,
    legs: { ...tools, bucket: env.ARCHIVE, meter, sinks: openSinks(settings, env, tools) },
    tools,
  };
  const app = routes(isolate);
  let drainingSinceMs = Number.NEGATIVE_INFINITY;
  const edge: Edge = {
    fetch: async (request, keep) => {
      const wire = request.method === 'POST' ? wireAt.get(pathOf(request.url)) : undefined;
      const response = wire
        ? await answerExport(isolate, wire, undefined, request).catch((error: unknown) =>
            failed(isolate, request, error),
          )
        : await app.fetch(request);
      allowOrigin(response.headers, request.headers.get('origin'), origins);
      meter.add('requests_total', 1, `status="${response.status}"`);
      const writing = keep && notes.settle();
      if (writing) keep(writing);
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
    scheduled: async (cron, dueMs) => {
      const kinds = kindsOf(cron, settings);
      if (kinds.length === 0) return edge.drain();
      for (const kind of kinds) {
        try {
          await storeTick(env.ARCHIVE, kind, dueMs);
        } catch (error) {
          const reason = error instanceof Error ? error.message : 'unknown';
          tools.warn(`Cannot store the batch's tick of the ${kind}: ${reason}`);
        }
      }
    },
  };
  return edge;
}

function routes(isolate: Isolate): Hono {
  const app = new Hono({ getPath: (request) => normalize(new URL(request.url).pathname) });
  for (const wire of Object.values(signalWires)) {
    // An SDK appends the signal's path to its endpoint, so a prefix is an endpoint of its own.
    for (const path of [wire.path, `/t/:tenant${wire.path}`]) {
      app.use(path, async ({ req }, next) => {
        const tenant = req.param('tenant');
        if (tenant !== undefined && !tenantPattern.test(tenant)) throw unknownPath();
        await next();
      });
      app.post(path, ({ req }) => answerExport(isolate, wire, req.param('tenant'), req.raw));
      app.options(path, () => preflight('POST'));
      app.all(path, ({ req }) => wrongMethod(typeOf(req.raw), 'POST'));
    }
  }
  // Loaded when it is first asked for: an isolate that only takes telemetry starts without it.
  let api: Promise<Hono> | undefined;
  app.all('/api/v1/*', async ({ req }) => {
    api ??= import('./api.ts').then(({ apiOf }) => new Hono().route('/api/v1', apiOf(isolate)));
    return (await api).fetch(req.raw);
  });
  app.get('/healthz', (context) => context.text('ok\n'));
  app.get('/metrics', ({ req }) => metrics(isolate, req.raw));
  app.notFound(({ req }) => refused(typeOf(req.raw), unknownPath()));
  app.onError((error, { req }) => failed(isolate, req.raw, error));
  return app;
}

/** The answer to a request that cannot be served. */
function failed({ tools }: Isolate, request: Request, error: unknown): Response {
  if (!(error instanceof TidemarkError)) {
    tools.warn(`Bug: ${error instanceof Error ? (error.stack ?? error.message) : 'unknown'}`);
  }
  return refused(typeOf(request), error);
}

/** The path of a URL as the runtime gives it: absolute, and without a fragment. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('//') + 2);
  const end = url.indexOf('?', start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

async function metrics(isolate: Isolate, request: Request): Promise<Response> {
  const { access, meter, ledger, legs } = isolate;
  await authorize(request, { what: 'edge' }, access);
  meter.set('in_flight_bytes', ledger.bytes);
  try {
    await showSpools(legs);
  } catch (error) {
    // What this isolate counted is worth showing without them.
    legs.warn(`Cannot read the spools: ${error instanceof Error ? error.message : 'unknown'}`);
  }
  return new Response(meter.text(), {
    headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' },
  });
}

/** Slashes doubled or at the end, as joined endpoints have them, do not make another path. */
function normalize(path: string): string {
  return `/${path.split('/').filter(Boolean).join('/')}`;
}

function unknownPath(): TidemarkError {
  return new TidemarkError('NOT_FOUND', `Cannot find this path: use ${paths.join(', ')}`);
}
