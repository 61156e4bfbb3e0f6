/**
 * What the transcoder must make of a logs request, in plain TypeScript over what protobufjs decoded:
 * records, cells of rows, values of columns. Written for clearness; shares no code with the kernel.
 */
import type { Provenance, Receipt, RejectReason } from '../../aggregator-as/host.ts';
import { speedTables } from '../../schemas/tables.ts';
import { ownerColumns } from './columns.ts';
import type { Arrived } from './columns.ts';
import { hexOf, murmur } from './murmur.ts';
import { bytesOf, decode, hasUnknown, listOf, longOf, numberOf } from './oracle.ts';
import type { Decoded } from './oracle.ts';
import type { Cell } from './pointrows.ts';
import {
  asString,
  hex,
  kindOf,
  Marks,
  readAttributes,
  readResource,
  readScope,
} from './reference.ts';
import type { Attribute, Owner, Scope } from './reference.ts';

export interface ExpectedLog {
  readonly itemIndex: number;
  readonly quarantined: boolean;
  readonly resource: Owner;
  readonly scope: Scope;
  /** Hash of the content, as hex, and records of the request before it that have the same one. */
  readonly hash: string;
  readonly occurrence: number;
  readonly timeNs: bigint;
  readonly sentNs: bigint;
  readonly observedNs: bigint;
  /** Hex, empty when absent or all zero. */
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly severity: number;
  readonly severityText: string;
  readonly body: string;
  readonly bodyKind: number;
  readonly eventName: string;
  readonly attributes: Attribute[];
  readonly dropped: number;
  readonly raw: Uint8Array | null;
}

export interface ExpectedLogs {
  readonly logs: ExpectedLog[];
  readonly rejectedBy: Partial<Record<RejectReason, number>>;
  readonly invalidUtf8: number;
}

/** Reads a request that protobufjs accepts. */
export function expectLogs(request: Uint8Array, receipt: Receipt): ExpectedLogs {
  const logs: ExpectedLog[] = [];
  const rejectedBy: Partial<Record<RejectReason, number>> = {};
  const marks = new Marks();
  const seen = new Map<string, number>();
  let itemIndex = 0;
  for (const resourceLogs of listOf(decode('ExportLogsServiceRequest', request), 'resourceLogs')) {
    const resource = readResource(resourceLogs, marks);
    for (const scopeLogs of listOf(resourceLogs, 'scopeLogs')) {
      const scope = readScope(scopeLogs, marks);
      const owners = [ownerHash(resourceLogs, 'resource'), ownerHash(scopeLogs, 'scope')];
      for (const bytes of listOf(scopeLogs, 'logRecords') as unknown as Uint8Array[]) {
        const decoded = decode('LogRecord', bytes);
        const record = readLog(decoded, bytes, receipt, marks);
        const place = { itemIndex: itemIndex++, resource, scope };
        const reason = rejectReason(decoded);
        if (reason) {
          rejectedBy[reason] = (rejectedBy[reason] ?? 0) + 1;
          continue;
        }
        const hash = hex(hashOf(Buffer.concat([...owners, hashOf(bytes)])));
        const occurrence = seen.get(hash) ?? 0;
        seen.set(hash, occurrence + 1);
        logs.push({ ...record, ...place, hash, occurrence });
      }
    }
  }
  return { logs, rejectedBy, invalidUtf8: marks.invalidUtf8 };
}

function hashOf(bytes: Uint8Array): Buffer {
  return Buffer.from(hexOf(murmur(bytes)), 'hex');
}

function ownerHash(envelope: Decoded, name: string): Buffer {
  const hashes = [bytesOf(envelope, name), bytesOf(envelope, 'schemaUrl')].map(hashOf);
  return hashOf(Buffer.concat(hashes));
}

function rejectReason(log: Decoded): RejectReason | undefined {
  if (![0, 16].includes(bytesOf(log, 'traceId').length)) return 'trace_id_length';
  return [0, 8].includes(bytesOf(log, 'spanId').length) ? undefined : 'span_id_length';
}

type Read = Omit<ExpectedLog, 'itemIndex' | 'resource' | 'scope' | 'hash' | 'occurrence'>;

function readLog(log: Decoded, bytes: Uint8Array, receipt: Receipt, marks: Marks): Read {
  const sentNs = longOf(log, 'timeUnixNano');
  const observedNs = longOf(log, 'observedTimeUnixNano');
  const body = decode('AnyValue', bytesOf(log, 'body'));
  const timeNs = sentNs || observedNs || BigInt(receipt.receivedMs) * 1_000_000n;
  const earliestNs = BigInt(receipt.receivedMs - receipt.pastMaxMs) * 1_000_000n;
  const latestNs = BigInt(receipt.receivedMs + receipt.futureMaxMs) * 1_000_000n;
  const ids = { traceId: hex(bytesOf(log, 'traceId')), spanId: hex(bytesOf(log, 'spanId')) };
  const fields = {
    timeNs,
    sentNs,
    observedNs,
    quarantined: timeNs < earliestNs || timeNs > latestNs,
    traceId: /^0*$/.test(ids.traceId) ? '' : ids.traceId,
    spanId: /^0*$/.test(ids.spanId) ? '' : ids.spanId,
    flags: numberOf(log, 'flags'),
    severity: numberOf(log, 'severityNumber'),
    severityText: marks.text(bytesOf(log, 'severityText')),
    body: asString(body, marks),
    bodyKind: kindOf(body),
    eventName: marks.text(bytesOf(log, 'eventName')),
    attributes: readAttributes(listOf(log, 'attributes'), marks),
    dropped: numberOf(log, 'droppedAttributesCount'),
  };
  if (fields.traceId !== ids.traceId || fields.spanId !== ids.spanId) marks.inexact = true;
  if (hasUnknown(body)) marks.inexact = true;
  return { ...fields, raw: marks.raw(log, bytes) };
}

function serviceOf(log: ExpectedLog): string {
  return log.resource.attributes.find(({ key }) => key === 'service.name')?.value ?? '';
}

const uint8 = (value: number): Cell => ({ bytes: Buffer.from([value]), text: String(value) });

/** Cells of `otel_logs`, in the order of the columns. */
export function logCells(log: ExpectedLog, tenantId: string, receivedMs: number): Cell[] {
  const { resource, scope, severity } = log;
  const cells: Record<(typeof speedTables.otel_logs)[number], Cell> = {
    Timestamp: BigInt.asIntN(64, log.timeNs),
    TraceId: log.traceId,
    SpanId: log.spanId,
    TraceFlags: uint8(log.flags & 255),
    SeverityText: log.severityText,
    SeverityNumber: uint8(severity >= 0 && severity <= 255 ? severity : 0),
    ServiceName: serviceOf(log),
    Body: log.body,
    ResourceSchemaUrl: resource.schemaUrl,
    ResourceAttributes: { map: resource.attributes },
    ScopeSchemaUrl: scope.schemaUrl,
    ScopeName: scope.name,
    ScopeVersion: scope.version,
    ScopeAttributes: { map: scope.attributes },
    LogAttributes: { map: log.attributes },
    EventName: log.eventName,
    TenantId: tenantId,
    IngestedAt: BigInt(receivedMs),
  };
  return speedTables.otel_logs.map((name) => cells[name]);
}

export interface PlacedLog {
  readonly log: ExpectedLog;
  readonly provenance: Provenance;
}

/** The record's values by the names of `logColumns`. */
function logValues({ log, provenance }: PlacedLog): Record<string, unknown> {
  const { attributes } = log;
  return {
    SortKey: sortKeyOf({ log, provenance }),
    ContentHash: log.hash,
    ContentOccurrence: log.occurrence,
    Timestamp: BigInt.asIntN(64, log.timeNs),
    Time: log.sentNs === 0n ? null : BigInt.asIntN(64, log.sentNs),
    ObservedTime: log.observedNs === 0n ? null : BigInt.asIntN(64, log.observedNs),
    TraceId: log.traceId === '' ? null : log.traceId,
    SpanId: log.spanId === '' ? null : log.spanId,
    TraceFlags: log.flags & 255,
    Flags: log.flags,
    SeverityText: log.severityText,
    SeverityNumber: log.severity,
    ServiceName: serviceOf(log),
    Body: log.body,
    BodyKind: log.bodyKind,
    EventName: log.eventName,
    LogAttributes: attributes.map(({ key, value }) => [key, value]),
    LogAttributeKinds: attributes.map(({ kind }) => kind),
    DroppedAttributesCount: log.dropped,
    LogOtlp: log.raw && hex(log.raw),
    ...ownerColumns(log, provenance),
  };
}

/** FNV-1a of 64 bits, as 8 bytes big-endian. */
export function fnv(input: Uint8Array): Buffer {
  let hash = 0xcbf29ce484222325n;
  for (const byte of input) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(hash);
  return bytes;
}

function sortKeyOf({ log, provenance }: PlacedLog): string {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(log.sentNs || log.observedNs);
  return hex(Buffer.concat([fnv(Buffer.from(`${provenance.tenantId}\0${serviceOf(log)}`)), time]));
}

/** The record as the grouping by hours needs it. */
export function arrived(placed: PlacedLog): Arrived {
  const { log, provenance } = placed;
  return {
    timeNs: log.timeNs,
    quarantined: log.quarantined,
    receivedMs: provenance.receivedMs,
    key: sortKeyOf(placed) + log.hash.slice(0, 16),
    row: logValues(placed),
  };
}
