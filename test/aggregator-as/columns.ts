/** The columns that the reference's spans make, as plain values by the names of `traceColumns`. */
import type { Provenance } from '../../aggregator-as/host.ts';
import { peerOf } from '../support/peer.ts';
import { hex } from './reference.ts';
import type { Attribute, ExpectedSpan } from './reference.ts';
import { durationOf, kindNames, serviceOf, statusNames } from './rows.ts';

export interface Placed {
  readonly span: ExpectedSpan;
  readonly provenance: Provenance;
}

type Owned = Pick<ExpectedSpan, 'resource' | 'scope' | 'itemIndex' | 'quarantined'>;

const hourMs = 3_600_000;

export interface ExpectedHour {
  readonly hourMs: number;
  readonly quarantined: boolean;
  readonly rows: Record<string, unknown>[];
}

/** An item of any signal, as the grouping needs it. */
export interface Arrived {
  readonly timeNs: bigint;
  readonly quarantined: boolean;
  readonly receivedMs: number;
  /** Hex that the rows of an hour ascend by. */
  readonly key: string;
  readonly row: Record<string, unknown>;
}

/** Items in order of arrival, by hour, each hour sorted by key, then arrival. */
export function groupHours(items: readonly Arrived[]): ExpectedHour[] {
  const hours = new Map<string, { hourMs: number; quarantined: boolean; items: Arrived[] }>();
  for (const item of items) {
    const { quarantined } = item;
    const ms = quarantined ? item.receivedMs : Number(item.timeNs / 1_000_000n);
    const start = Math.floor(ms / hourMs) * hourMs;
    const key = `${String(start)} ${String(quarantined)}`;
    const hour = hours.get(key) ?? { hourMs: start, quarantined, items: [] };
    hour.items.push(item);
    hours.set(key, hour);
  }
  return [...hours.values()]
    .toSorted((a, b) => a.hourMs - b.hourMs || Number(a.quarantined) - Number(b.quarantined))
    .map((hour) => ({
      hourMs: hour.hourMs,
      quarantined: hour.quarantined,
      rows: hour.items.toSorted(byKey).map(({ row }) => row),
    }));
}

function byKey(a: Arrived, b: Arrived): number {
  return a.key < b.key ? -1 : Number(a.key > b.key);
}

/** Spans in order of arrival, by hour, each hour sorted by trace id, span id, arrival. */
export function expectHours(spans: readonly Placed[]): ExpectedHour[] {
  return groupHours(
    spans.map((placed) => ({
      timeNs: placed.span.startNs,
      quarantined: placed.span.quarantined,
      receivedMs: placed.provenance.receivedMs,
      key: placed.span.traceId + placed.span.spanId,
      row: columnsOf(placed),
    })),
  );
}

function columnsOf({ span, provenance }: Placed): Record<string, unknown> {
  return {
    TraceId: span.traceId,
    SpanId: span.spanId,
    ParentSpanId: span.parentSpanId === '' ? null : span.parentSpanId,
    TraceState: span.traceState,
    Flags: span.flags,
    SpanName: span.name,
    SpanKind: kindNames[span.kind] ?? '',
    SpanKindNumber: span.kind,
    ServiceName: serviceOf(span),
    Timestamp: BigInt.asIntN(64, span.startNs),
    EndTimestamp: BigInt.asIntN(64, span.endNs),
    Duration: durationOf(span),
    StatusCode: statusNames[span.statusCode] ?? '',
    StatusCodeNumber: span.statusCode,
    StatusMessage: span.statusMessage,
    SpanAttributes: pairs(span.attributes),
    SpanAttributeKinds: kinds(span.attributes),
    DroppedAttributesCount: span.dropped,
    ...eventColumns(span),
    ...linkColumns(span),
    SpanOtlp: span.raw && hex(span.raw),
    ...peerColumns(span),
    ...ownerColumns(span, provenance),
  };
}

function eventColumns({ events, droppedEvents }: ExpectedSpan): Record<string, unknown> {
  return {
    'Events.Timestamp': events.map(({ timeNs }) => BigInt.asIntN(64, timeNs)),
    'Events.Name': events.map(({ name }) => name),
    'Events.Attributes': events.map(({ attributes }) => pairs(attributes)),
    'Events.AttributeKinds': events.map(({ attributes }) => kinds(attributes)),
    'Events.DroppedAttributesCount': events.map(({ dropped }) => dropped),
    DroppedEventsCount: droppedEvents,
  };
}

/** Of a key that comes twice the first text counts. */
function peerColumns({ kind, attributes }: ExpectedSpan): Record<string, unknown> {
  const texts = attributes.filter(({ value }) => value !== '').toReversed();
  const found = Object.fromEntries(texts.map(({ key, value }) => [key, value]));
  const peer = peerOf(kindNames[kind] ?? '', found);
  return { PeerKind: peer.kind, PeerName: peer.name };
}

function linkColumns({ links, droppedLinks }: ExpectedSpan): Record<string, unknown> {
  return {
    'Links.TraceId': links.map(({ traceId }) => traceId),
    'Links.SpanId': links.map(({ spanId }) => spanId),
    'Links.TraceState': links.map(({ traceState }) => traceState),
    'Links.Attributes': links.map(({ attributes }) => pairs(attributes)),
    'Links.AttributeKinds': links.map(({ attributes }) => kinds(attributes)),
    'Links.DroppedAttributesCount': links.map(({ dropped }) => dropped),
    'Links.Flags': links.map(({ flags }) => flags),
    DroppedLinksCount: droppedLinks,
  };
}

/** The last columns of every signal. */
export function ownerColumns(
  { resource, scope, itemIndex, quarantined }: Owned,
  provenance: Provenance,
): Record<string, unknown> {
  return {
    ResourceAttributes: pairs(resource.attributes),
    ResourceAttributeKinds: kinds(resource.attributes),
    ResourceDroppedAttributesCount: resource.dropped,
    ResourceSchemaUrl: resource.schemaUrl,
    ResourceOtlp: resource.raw && hex(resource.raw),
    ScopeName: scope.name,
    ScopeVersion: scope.version,
    ScopeAttributes: pairs(scope.attributes),
    ScopeAttributeKinds: kinds(scope.attributes),
    ScopeDroppedAttributesCount: scope.dropped,
    ScopeSchemaUrl: scope.schemaUrl,
    ScopeOtlp: scope.raw && hex(scope.raw),
    TenantId: provenance.tenantId,
    IngestedAt: BigInt(provenance.receivedMs),
    Topic: provenance.topic,
    Partition: provenance.partition,
    Offset: provenance.offset,
    ItemIndex: itemIndex,
    Quarantined: quarantined,
  };
}

function pairs(attributes: readonly Attribute[]): [string, string][] {
  return attributes.map(({ key, value }) => [key, value]);
}

function kinds(attributes: readonly Attribute[]): number[] {
  return attributes.map(({ kind }) => kind);
}
