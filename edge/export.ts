/**
 * One export request of any signal, step by step: authorize → admit → receive → convert →
 * transcode → commit (fan out) → respond. It decides nothing that a step decides.
 */
import type { Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import type { Settings } from '../schemas/settings.ts';
import { authorize } from './authorize.ts';
import type { Access } from './authorize.ts';
import { commit } from './commit.ts';
import type { GroupNamespace } from './commit.ts';
import type { DrainTools } from './drain.ts';
import { fanOut } from './fanout.ts';
import type { Batch, FanoutTools } from './fanout.ts';
import type { InsertTools } from './insert.ts';
import { jsonToProtobuf } from './json.ts';
import type { Ledger, Lease } from './lease.ts';
import type { Limits } from './limit.ts';
import type { Meter } from './meter.ts';
import { mediaTypeOf, receive } from './receive.ts';
import type { MediaType, Received } from './receive.ts';
import { exported } from './respond.ts';
import type { SignalWire } from './signal.ts';
import type { transcodeWith } from './transcode.ts';

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

/** What one isolate keeps between requests. */
export interface Isolate {
  readonly settings: Settings;
  readonly access: Access;
  readonly limits: Limits;
  readonly meter: Meter;
  readonly ledger: Ledger;
  readonly transcode: ReturnType<typeof transcodeWith>;
  readonly legs: FanoutTools & DrainTools;
  /** Where groups are made; without it every request is stored by itself. */
  readonly groups: GroupNamespace | undefined;
  readonly tools: Tools;
}

/**
 * Answers a POST of `wire`'s signal. `pathTenant` is the tenant that the path names, if any. Throws
 * what the steps throw; nothing is left behind then that was not acknowledged.
 */
export async function answerExport(
  isolate: Isolate,
  wire: SignalWire,
  pathTenant: string | undefined,
  request: Request,
): Promise<Response> {
  const lease = isolate.ledger.lease();
  try {
    const tally = await take(isolate, wire, pathTenant, request, lease);
    return exported(typeOf(request), wire, tally);
  } finally {
    lease.release();
  }
}

/** The type of an answer: that of the request, or JSON when the request has none of ours. */
export function typeOf(request: Request): MediaType {
  return mediaTypeOf(request.headers.get('content-type')) ?? 'application/json';
}

/** The steps of one request. Authorizes before the body is read; refuses before a sink sees it. */
async function take(
  isolate: Isolate,
  wire: SignalWire,
  pathTenant: string | undefined,
  request: Request,
  lease: Lease,
): Promise<Tally> {
  const { settings, access, limits, meter, tools, transcode } = isolate;
  const { signal } = wire;
  const grant = await authorize(request, { what: signal, pathTenant }, access);
  await limits.admit(grant);
  const { tenantId } = grant;
  const received = await receive(request, limitsOf(settings), lease);
  limits.charge(grant, { bytes: received.body.length, items: 0 });
  const otlp = convert(received, wire, settings, lease);
  const receivedMs = tools.now();
  const { tally, tables } = transcode(signal, otlp, receiptOf(tenantId, receivedMs, settings));
  limits.charge(grant, { bytes: 0, items: tally.accepted + tally.rejected });
  for (const { rows } of tables) lease.take(rows.length);
  // A request without a valid item leaves nothing behind, and needs no sink to be answered.
  if (tally.accepted > 0) {
    const parts = { tenantId, receivedMs, requestId: tools.requestId() };
    await store(isolate, { signal, parts: [{ parts, otlp }], tables }, request);
  }
  count(meter, signal, tally);
  return tally;
}

function store(isolate: Isolate, batch: Batch, request: Request): Promise<void> {
  const { settings, meter, legs, groups } = isolate;
  const direct = (whole: Batch) => fanOut(whole, settings, legs);
  return commit(batch, regionOf(request), settings, { groups, direct, meter });
}

/** The data centre that the request came in at, as Cloudflare names it. */
function regionOf(request: Request): string {
  const colo = request.cf?.colo;
  return typeof colo === 'string' ? colo : 'local';
}

function limitsOf(settings: Settings) {
  return {
    bodyBytesMax: settings.TIDEMARK_BODY_BYTES_MAX,
    inflatedBytesMax: settings.TIDEMARK_INFLATED_BYTES_MAX,
  };
}

function receiptOf(tenantId: string, receivedMs: number, settings: Settings) {
  return {
    tenantId,
    receivedMs,
    pastMaxMs: settings.TIDEMARK_PAST_MAX_MS,
    futureMaxMs: settings.TIDEMARK_FUTURE_MAX_MS,
  };
}

/** The request in protobuf: as it came, or made from JSON. */
function convert(
  { mediaType, body }: Received,
  { request }: SignalWire,
  settings: Settings,
  lease: Lease,
): Uint8Array {
  if (mediaType === 'application/x-protobuf') return body;
  const names = settings.TIDEMARK_JSON_NAMES === 'camel' ? 'camel' : 'any';
  const otlp = jsonToProtobuf(request, body, settings.TIDEMARK_INFLATED_BYTES_MAX, names);
  lease.take(otlp.length);
  lease.give(body.length);
  return otlp;
}

function count(meter: Meter, signal: Signal, tally: Tally): void {
  const ofSignal = `signal="${signal}"`;
  meter.add('items_accepted_total', tally.accepted, ofSignal);
  meter.add('items_quarantined_total', tally.quarantined, ofSignal);
  meter.add('durations_clamped_total', tally.clampedDurations);
  meter.add('strings_invalid_utf8_total', tally.invalidUtf8, ofSignal);
  for (const [reason, items] of Object.entries(tally.rejectedBy)) {
    meter.add('items_rejected_total', items, `${ofSignal},reason="${reason}"`);
  }
}
