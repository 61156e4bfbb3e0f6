/**
 * What the transcoder must make of a request, in plain TypeScript over what protobufjs decoded: the
 * oracle of the rows and of the columns. Written for clearness; shares no code with the kernel.
 */
import { isUtf8 } from 'node:buffer';
import type { Receipt, RejectReason } from '../../aggregator-as/host.ts';
import { bytesOf, decode, hasUnknown, listOf, longOf, numberOf, own } from './oracle.ts';
import type { Decoded } from './oracle.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export interface Attribute {
  readonly key: string;
  readonly value: string;
  readonly kind: number;
}

/** A span, or an owner of spans: its attributes and what else the columns hold of it. */
export interface Owner {
  readonly attributes: Attribute[];
  readonly dropped: number;
  readonly schemaUrl: string;
  readonly raw: Uint8Array | null;
}

export interface Scope extends Owner {
  readonly name: string;
  readonly version: string;
}

export interface Event {
  readonly timeNs: bigint;
  readonly name: string;
  readonly attributes: Attribute[];
  readonly dropped: number;
}

export interface Link {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly attributes: Attribute[];
  readonly dropped: number;
  readonly flags: number;
}

export interface ExpectedSpan {
  readonly itemIndex: number;
  readonly quarantined: boolean;
  readonly resource: Owner;
  readonly scope: Scope;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attribute[];
  readonly dropped: number;
  readonly events: Event[];
  readonly droppedEvents: number;
  readonly links: Link[];
  readonly droppedLinks: number;
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly raw: Uint8Array | null;
}

export interface Expected {
  readonly spans: ExpectedSpan[];
  readonly rejectedBy: Partial<Record<RejectReason, number>>;
  readonly invalidUtf8: number;
}

/** Reads a request that protobufjs accepts. */
export function expectSpans(request: Uint8Array, receipt: Receipt): Expected {
  const spans: ExpectedSpan[] = [];
  const rejectedBy: Partial<Record<RejectReason, number>> = {};
  const marks = new Marks();
  let itemIndex = 0;
  for (const resourceSpans of listOf(
    decode('ExportTraceServiceRequest', request),
    'resourceSpans',
  )) {
    const resource = readResource(resourceSpans, marks);
    for (const scopeSpans of listOf(resourceSpans, 'scopeSpans')) {
      const scope = readScope(scopeSpans, marks);
      for (const bytes of listOf(scopeSpans, 'spans') as unknown as Uint8Array[]) {
        const decoded = decode('Span', bytes);
        const span = readSpan(decoded, bytes, { resource, scope, itemIndex, receipt, marks });
        itemIndex++;
        const reason = rejectReason(decoded);
        if (reason) rejectedBy[reason] = (rejectedBy[reason] ?? 0) + 1;
        else spans.push(span);
      }
    }
  }
  return { spans, rejectedBy, invalidUtf8: marks.invalidUtf8 };
}

/** What the strings of a message were like. */
export class Marks {
  invalidUtf8 = 0;
  inexact = false;

  text(bytes: Uint8Array): string {
    this.judge(bytes);
    return decoder.decode(bytes);
  }

  judge(bytes: Uint8Array): void {
    if (isUtf8(bytes)) return;
    this.invalidUtf8++;
    this.inexact = true;
  }

  /** The raw bytes when the message read since the last call cannot be given back without them. */
  raw(decoded: Decoded, bytes: Uint8Array): Uint8Array | null {
    const isInexact = this.inexact || hasUnknown(decoded);
    this.inexact = false;
    return isInexact ? bytes : null;
  }
}

export function readResource(resourceSpans: Decoded, marks: Marks): Owner {
  const bytes = bytesOf(resourceSpans, 'resource');
  const decoded = decode('Resource', bytes);
  const attributes = readAttributes(listOf(decoded, 'attributes'), marks);
  if (listOf(decoded, 'entityRefs').length > 0) marks.inexact = true;
  const raw = marks.raw(decoded, bytes);
  const schemaUrl = marks.text(bytesOf(resourceSpans, 'schemaUrl'));
  marks.inexact = false;
  return { attributes, dropped: numberOf(decoded, 'droppedAttributesCount'), schemaUrl, raw };
}

export function readScope(scopeSpans: Decoded, marks: Marks): Scope {
  const bytes = bytesOf(scopeSpans, 'scope');
  const decoded = decode('InstrumentationScope', bytes);
  const name = marks.text(bytesOf(decoded, 'name'));
  const version = marks.text(bytesOf(decoded, 'version'));
  const attributes = readAttributes(listOf(decoded, 'attributes'), marks);
  const raw = marks.raw(decoded, bytes);
  const schemaUrl = marks.text(bytesOf(scopeSpans, 'schemaUrl'));
  marks.inexact = false;
  const dropped = numberOf(decoded, 'droppedAttributesCount');
  return { name, version, attributes, dropped, schemaUrl, raw };
}

interface Context {
  readonly resource: Owner;
  readonly scope: Scope;
  readonly itemIndex: number;
  readonly receipt: Receipt;
  readonly marks: Marks;
}

function readSpan(span: Decoded, bytes: Uint8Array, context: Context): ExpectedSpan {
  const { marks, receipt, resource, scope, itemIndex } = context;
  const startNs = longOf(span, 'startTimeUnixNano');
  const status = (own(span, 'status') as Decoded | undefined) ?? {};
  const parent = hex(bytesOf(span, 'parentSpanId'));
  const earliestNs = BigInt(receipt.receivedMs - receipt.pastMaxMs) * 1_000_000n;
  const latestNs = BigInt(receipt.receivedMs + receipt.futureMaxMs) * 1_000_000n;
  const fields = {
    itemIndex,
    quarantined: startNs < earliestNs || startNs > latestNs,
    resource,
    scope,
    traceId: hex(bytesOf(span, 'traceId')),
    spanId: hex(bytesOf(span, 'spanId')),
    parentSpanId: /^0*$/.test(parent) ? '' : parent,
    traceState: marks.text(bytesOf(span, 'traceState')),
    flags: numberOf(span, 'flags'),
    name: marks.text(bytesOf(span, 'name')),
    kind: numberOf(span, 'kind'),
    startNs,
    endNs: longOf(span, 'endTimeUnixNano'),
    attributes: readAttributes(listOf(span, 'attributes'), marks),
    dropped: numberOf(span, 'droppedAttributesCount'),
    events: listOf(span, 'events').map((event) => readEvent(event, marks)),
    droppedEvents: numberOf(span, 'droppedEventsCount'),
    links: listOf(span, 'links').map((link) => readLink(link, marks)),
    droppedLinks: numberOf(span, 'droppedLinksCount'),
    statusCode: numberOf(status, 'code'),
    statusMessage: marks.text(bytesOf(status, 'message')),
  };
  if (parent !== '' && fields.parentSpanId === '') marks.inexact = true;
  return { ...fields, raw: marks.raw(span, bytes) };
}

function readEvent(event: Decoded, marks: Marks): Event {
  return {
    timeNs: longOf(event, 'timeUnixNano'),
    name: marks.text(bytesOf(event, 'name')),
    attributes: readAttributes(listOf(event, 'attributes'), marks),
    dropped: numberOf(event, 'droppedAttributesCount'),
  };
}

function readLink(link: Decoded, marks: Marks): Link {
  return {
    traceId: hex(bytesOf(link, 'traceId')),
    spanId: hex(bytesOf(link, 'spanId')),
    traceState: marks.text(bytesOf(link, 'traceState')),
    attributes: readAttributes(listOf(link, 'attributes'), marks),
    dropped: numberOf(link, 'droppedAttributesCount'),
    flags: numberOf(link, 'flags'),
  };
}

function rejectReason(span: Decoded): RejectReason | undefined {
  const traceId = bytesOf(span, 'traceId');
  const spanId = bytesOf(span, 'spanId');
  const parentBytes = bytesOf(span, 'parentSpanId').length;
  if (traceId.length !== 16) return 'trace_id_length';
  if (traceId.every((byte) => byte === 0)) return 'trace_id_zero';
  if (spanId.length !== 8) return 'span_id_length';
  if (spanId.every((byte) => byte === 0)) return 'span_id_zero';
  if (parentBytes !== 0 && parentBytes !== 8) return 'parent_span_id_length';
  const isLinked = listOf(span, 'links').every(
    (link) => bytesOf(link, 'traceId').length === 16 && bytesOf(link, 'spanId').length === 8,
  );
  return isLinked ? undefined : 'link_id';
}

const members = [
  'stringValue',
  'boolValue',
  'intValue',
  'doubleValue',
  'arrayValue',
  'kvlistValue',
  'bytesValue',
];

export function readAttributes(list: Decoded[], marks: Marks): Attribute[] {
  return list.map((keyValue) => {
    const key = marks.text(bytesOf(keyValue, 'key'));
    const any = (own(keyValue, 'value') as Decoded | undefined) ?? {};
    return { key, value: asString(any, marks), kind: kindOf(any) };
  });
}

/** Field number of the member that was set last, or 0. */
export function kindOf(any: Decoded): number {
  // A virtual property, of the prototype: protobufjs's name of the oneof.
  return members.indexOf(any['value'] as string) + 1;
}

export function asString(any: Decoded, marks: Marks): string {
  const kind = kindOf(any);
  if (kind === 0) return '';
  if (kind === 1) return marks.text(bytesOf(any, 'stringValue'));
  if (kind === 7) return Buffer.from(bytesOf(any, 'bytesValue')).toString('base64');
  if (kind === 4) markNan(any, marks);
  if (kind < 5) return scalarText(any, kind);
  marks.inexact = true;
  return json(any, marks);
}

/** A NaN other than the usual one has bits that its name does not tell. */
function markNan(any: Decoded, marks: Marks): void {
  const value = own(any, 'doubleValue') as number;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  if (Number.isNaN(value) && view.getBigUint64(0) !== 0x7ff8000000000000n) marks.inexact = true;
}

function scalarText(any: Decoded, kind: number): string {
  if (kind === 2) return String(own(any, 'boolValue'));
  if (kind === 3) return String(BigInt.asIntN(64, longOf(any, 'intValue')));
  const value = own(any, 'doubleValue') as number;
  return Object.is(value, -0) ? '-0' : String(value);
}

function json(any: Decoded, marks: Marks): string {
  const kind = kindOf(any);
  if (kind === 0) return 'null';
  if (kind === 1) return quote(bytesOf(any, 'stringValue'), marks);
  if (kind === 4 && !Number.isFinite(own(any, 'doubleValue'))) return `"${scalarText(any, kind)}"`;
  if (kind < 5) return scalarText(any, kind);
  if (kind === 7) return base64Json(bytesOf(any, 'bytesValue'));
  const values = listOf((own(any, members[kind - 1] ?? '') as Decoded | undefined) ?? {}, 'values');
  if (kind === 5) return `[${values.map((value) => json(value, marks)).join(',')}]`;
  return `{${objectEntries(values, marks).join(',')}}`;
}

function base64Json(bytes: Uint8Array): string {
  return bytes.length === 0 ? 'null' : `"${Buffer.from(bytes).toString('base64')}"`;
}

/** Of equal keys the last; keys in the order of their bytes. */
function objectEntries(values: Decoded[], marks: Marks): string[] {
  const entries = new Map<string, { key: Uint8Array; text: string }>();
  for (const value of values) {
    const key = bytesOf(value, 'key');
    const any = (own(value, 'value') as Decoded | undefined) ?? {};
    entries.set(hex(key), { key, text: `${quote(key, marks)}:${json(any, marks)}` });
  }
  return [...entries.values()]
    .toSorted((a, b) => Buffer.compare(a.key, b.key))
    .map(({ text }) => text);
}

/** Go's escapes without those for HTML. A U+FFFD that was sent stays; one for bad bytes is escaped. */
function quote(bytes: Uint8Array, marks: Marks): string {
  marks.judge(bytes);
  const sent = '\uf8ff';
  const latin = Buffer.from(bytes).toString('latin1');
  const marked = latin.replaceAll('\u00ef\u00bf\u00bd', Buffer.from(sent).toString('latin1'));
  const short: Record<string, string> = {
    '"': '\\"',
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
  };
  const escaped = decoder
    .decode(Buffer.from(marked, 'latin1'))
    .replaceAll(
      // eslint-disable-next-line no-control-regex
      /["\\\u0000-\u001f\u2028\u2029\ufffd]/g,
      (unit) => short[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replaceAll(sent, '\ufffd');
  return `"${escaped}"`;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
