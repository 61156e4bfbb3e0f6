/**
 * One export request of any signal, step by step: authorize → admit → receive → convert →
 * transcode → commit (fan out) → respond. It decides nothing that a step decides.
 */
import type { Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Note } from '../schemas/note.ts';
import type { Settings } from '../schemas/settings.ts';
import { authorize } from './tenant/authorize.ts';
import type { Access, Grant } from './tenant/authorize.ts';
import { commit } from './commit.ts';
import type { Committed, GroupNamespace } from './commit.ts';
import type { DrainTools } from './drain.ts';
import { fanOut } from './fanout.ts';
import type { FanoutTools, FreshBatch } from './fanout.ts';
import type { InsertTools } from './insert.ts';
import { jsonToProtobuf } from './json.ts';
import type { Ledger, Lease } from './lease.ts';
import { viewOf } from './lend.ts';
import type { Lent } from './lend.ts';
import type { Limits } from './tenant/limit.ts';
import { Meter } from './meter.ts';
import { pointOf } from './meter/point.ts';
import type { Telemetry } from './meter/point.ts';
import type { Notes } from './note.ts';
import { mediaTypeOf, receive } from './receive.ts';
import type { MediaType, Received } from './receive.ts';
import { exported, statusOf } from './respond.ts';
import type { SignalWire } from './signal.ts';
import { timed } from './meter/time.ts';
import type { Transcoding } from './transcode.ts';

/** What the entry takes from the runtime. */
export interface Tools extends InsertTools {
  /** The compiled transcoder. */
  readonly module: WebAssembly.Module;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A name that no other request has: up to 64 letters, digits and dashes. `receivedMs`: when it was received. */
  readonly requestId: (receivedMs: number) => string;
  readonly warn: (message: string) => void;
  /** Resolves after so many milliseconds. */
  readonly pause?: (ms: number) => Promise<void>;
}

/** What one isolate keeps between requests. */
export interface Isolate {
  readonly settings: Settings;
  readonly access: Access;
  readonly limits: Limits;
  readonly meter: Meter;
  readonly ledger: Ledger;
  readonly transcoding: Transcoding;
  readonly legs: FanoutTools & DrainTools;
  /** Where groups are made; without it every request is stored by itself. */
  readonly groups: GroupNamespace | undefined;
  /** What is told to the ledger. */
  readonly notes: Notes;
  /** Gets a point of every export request. */
  readonly telemetry: Telemetry | undefined;
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
  const startMs = isolate.tools.now();
  const lease = isolate.ledger.lease();
  const visit: Visit = { wire, request, lease, meter: new Meter(), grant: undefined };
  let failure: unknown;
  try {
    return exported(typeOf(request), wire, await take(isolate, pathTenant, visit));
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    lease.release();
    report(isolate, visit, isolate.tools.now() - startMs, failure);
  }
}

/** One request on its way. */
interface Visit {
  readonly wire: SignalWire;
  readonly request: Request;
  readonly lease: Lease;
  /** Counts what concerns this request alone. */
  readonly meter: Meter;
  grant: Grant | undefined;
}

/** The type of an answer: that of the request, or JSON when the request has none of ours. */
export function typeOf(request: Request): MediaType {
  return mediaTypeOf(request.headers.get('content-type')) ?? 'application/json';
}

/** The steps of one request. Authorizes before the body is read; refuses before a sink sees it. */
async function take(
  isolate: Isolate,
  pathTenant: string | undefined,
  visit: Visit,
): Promise<Tally> {
  const { settings, access, limits, tools, transcoding } = isolate;
  const { wire, request, lease, meter } = visit;
  const { signal } = wire;
  const grant = await authorize(request, { what: signal, pathTenant }, access);
  visit.grant = grant;
  await limits.admit(grant);
  const { tenantId } = grant;
  const otlp = await obtain(isolate, visit, grant);
  const receivedMs = tools.now();
  const receipt = receiptOf(tenantId, receivedMs, settings);
  const { tally, tables, digest } = transcoding.transcode(signal, otlp, receipt, lease);
  limits.charge(grant, { bytes: 0, items: tally.accepted + tally.rejected });
  const parts = { tenantId, receivedMs, requestId: tools.requestId(receivedMs) };
  // A request without a valid item leaves nothing behind, and needs no sink to be answered.
  if (tally.accepted > 0) {
    const batch = { signal, parts: [{ parts, otlp, digest }], tables };
    const storing = store(isolate, batch, visit);
    await noted(isolate, { ...parts, signal, token: digest, ...tallied(tally) }, storing);
  } else {
    const nothing = { token: '', recordedMs: receivedMs, state: 'empty' as const };
    await isolate.notes.add({ ...parts, signal, ...tallied(tally), ...nothing });
  }
  count(meter, signal, tally);
  return tally;
}

/** The request in protobuf, and nothing of what it was made from, which is let go with this step. */
async function obtain(isolate: Isolate, visit: Visit, grant: Grant): Promise<Lent> {
  const { settings, limits, transcoding } = isolate;
  const { wire, request, lease, meter } = visit;
  const received = await receive(request, limitsOf(settings), lease, transcoding.inflate);
  const bytes = viewOf(received.body).length;
  limits.charge(grant, { bytes, items: 0 });
  meter.add('received_bytes_total', bytes, `signal="${wire.signal}"`);
  return convert(received, wire, settings, lease);
}

/** What a note says of the items of a request. */
function tallied({ accepted, quarantined, rejectedBy }: Tally) {
  return { accepted, quarantined, rejected: rejectedBy };
}

/** Notes what became of a request, and throws what storing it throws. `known.token` is its own, outside of groups. */
async function noted(
  { notes }: Isolate,
  known: Omit<Note, 'state' | 'recordedMs'>,
  storing: Promise<Committed>,
): Promise<void> {
  try {
    const { isCopy, isDoubtful, ...stored } = await storing;
    const state = isCopy ? 'copy' : isDoubtful ? 'doubtful' : 'stored';
    await notes.add({ ...known, ...stored, state });
  } catch (error) {
    await notes.add({ ...known, recordedMs: known.receivedMs, state: 'refused' });
    throw error;
  }
}

function store(isolate: Isolate, batch: FreshBatch, visit: Visit): Promise<Committed> {
  const { settings, meter, legs, groups, tools } = isolate;
  const direct = (whole: FreshBatch) =>
    fanOut(whole, settings, timed(legs, visit.meter, tools.now));
  // What a group has done is not counted as this request's, for it may be of several tenants.
  const region = () => regionOf(visit.request);
  return commit(batch, region, settings, { groups, direct, meter });
}

/** Tells the isolate's meter and the telemetry what became of a request. */
function report(isolate: Isolate, visit: Visit, durationMs: number, failure: unknown): void {
  const { meter, telemetry, tools } = isolate;
  const { request, wire, grant } = visit;
  const { signal } = wire;
  const status = failure === undefined ? 200 : statusOf(failure);
  const code = failure === undefined ? 'OK' : codeOf(failure);
  visit.meter.add('exports_total', 1, `signal="${signal}",code="${code}"`);
  visit.meter.observe('export_seconds', durationMs / 1000, `signal="${signal}"`);
  const reading = visit.meter.take();
  const tenantId = grant?.tenantId;
  meter.merge(reading, tenantId);
  if (telemetry === undefined) return;
  const outcome = { signal, tenantId, keyId: grant?.key?.id, code, status, durationMs, reading };
  const mediaType = mediaTypeOf(request.headers.get('content-type')) ?? '';
  try {
    telemetry.writeDataPoint(pointOf({ ...outcome, mediaType, region: regionOf(request) }));
  } catch (error) {
    tools.warn(`Cannot write a telemetry point: ${error instanceof Error ? error.name : 'error'}`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof TidemarkError ? error.code : 'BUG';
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
): Lent {
  if (mediaType === 'application/x-protobuf') return body;
  const names = settings.TIDEMARK_JSON_NAMES === 'camel' ? 'camel' : 'any';
  const json = viewOf(body);
  const otlp = lease.within(settings.TIDEMARK_INFLATED_BYTES_MAX, (bytesMax) =>
    jsonToProtobuf(request, json, bytesMax, names),
  );
  // It may lie in a larger buffer.
  lease.take(otlp.buffer.byteLength);
  lease.give(json.length);
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
