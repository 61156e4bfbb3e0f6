/**
 * Tells which signal a request is of, and when its items are: from its bytes alone. OTLP's protobuf
 * requests do not say it; their items do, because no two kinds have the same fields.
 */
import { isUtf8 } from 'node:buffer';
import type { Signal } from '../../schemas/archive.ts';
import { FieldReader } from '../../schemas/field.ts';
import { importItemsJudgedMax } from '../../schemas/limits/replay.ts';
import { otlpMessages } from '../../schemas/otlp.ts';
import type { OtlpField } from '../../schemas/otlp.ts';

/** Message types of requests. */
export const requestTypes: Record<Signal, string> = {
  traces: 'ExportTraceServiceRequest',
  logs: 'ExportLogsServiceRequest',
  metrics: 'ExportMetricsServiceRequest',
};

const itemTypes: Record<Signal, string> = { traces: 'Span', logs: 'LogRecord', metrics: 'Metric' };
const signals: readonly Signal[] = ['traces', 'logs', 'metrics'];

const jsonNames: Readonly<Record<string, Signal>> = {
  resourceSpans: 'traces',
  resource_spans: 'traces',
  resourceLogs: 'logs',
  resource_logs: 'logs',
  resourceMetrics: 'metrics',
  resource_metrics: 'metrics',
};

/** The signal of an OTLP/JSON request; `undefined` when no field of it says so. */
export function signalOfJson(json: Uint8Array): Signal | undefined {
  const head = Buffer.from(json.subarray(0, 256)).toString();
  const [, name] = /^\s*\{\s*"(\w+)"/.exec(head) ?? [];
  const first = jsonNames[name ?? ''];
  if (first) return first;
  const parsed = parse(json);
  return Object.keys(parsed)
    .map((key) => jsonNames[key])
    .find((signal) => signal !== undefined);
}

function parse(json: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/**
 * The signals that a protobuf request may be of: those that every item may be of, but for items that
 * are wrong in any signal. All three when it has no items, none when all items are wrong.
 */
export function signalsOfProtobuf(request: Uint8Array): Signal[] {
  let possible = signals;
  let [seen, told] = [0, 0];
  eachItem(request, (from, to) => {
    seen += 1;
    if (seen > importItemsJudgedMax) return;
    const fitting = possible.filter((signal) => isItem(signal, request, from, to));
    if (fitting.length === 0 && !signals.some((signal) => isItem(signal, request, from, to)))
      return;
    told += 1;
    possible = fitting;
  });
  return seen === 0 || told > 0 ? [...possible] : [];
}

/** Whether the bytes are fields of protobuf, of which all known ones are a request's. */
export function isRequest(request: Uint8Array): boolean {
  // Without items all signals' requests have the same fields.
  return isMessage(requestTypes.traces, request, 0, request.length, 1);
}

/** Whether every field of the message is one of the type's, in its wire type. */
function isMessage(
  type: string,
  bytes: Uint8Array,
  from: number,
  to: number,
  depth: number,
): boolean {
  const field = new FieldReader();
  for (let at = from; at < to; at = field.to) {
    if (!field.read(bytes, at, to)) return false;
    const known = otlpMessages[type]?.find(({ number }) => number === field.number);
    if (known ? !isValue(known, field, bytes, depth) : field.number < extensionsFrom) return false;
  }
  return true;
}

function isItem(signal: Signal, request: Uint8Array, from: number, to: number): boolean {
  if (!isMessage(itemTypes[signal], request, from, to, 0)) return false;
  if (signal !== 'traces') return true;
  // A span has ids; where a metric has its name and description.
  let ids = 0;
  for (const number of [1, 2]) eachField(request, from, to, number, () => (ids += 1));
  return ids >= 2;
}

/** OTLP's own fields have small numbers: unknown ones from here on are somebody's extensions. */
const extensionsFrom = 100;

/** Deep values say nothing more; deeper ones are the decoder's to judge. */
const depthMax = 3;

function isValue(known: OtlpField, field: FieldReader, bytes: Uint8Array, depth: number): boolean {
  const { contents, to, wireType } = field;
  if (known.type === 'message') {
    if (wireType !== 2) return false;
    return depth >= depthMax || isMessage(known.of, bytes, contents, to, depth + 1);
  }
  if (known.type === 'id') return wireType === 2 && isIdLength(known, to - contents);
  if (known.type === 'string') return wireType === 2 && isUtf8(bytes.subarray(contents, to));
  if (known.type === 'bytes') return wireType === 2;
  if (wireType === 2) return known.repeated;
  if (['fixed64', 'sfixed64', 'double'].includes(known.type)) return wireType === 1;
  return wireType === (known.type === 'fixed32' ? 5 : 0);
}

function isIdLength({ name }: OtlpField, length: number): boolean {
  return length === 0 || length === (name === 'trace_id' ? 16 : 8);
}

/** Calls `see` for each item: field 2 of field 2 of field 1, of every signal. */
function eachItem(request: Uint8Array, see: (from: number, to: number) => void): void {
  eachField(request, 0, request.length, 1, (from, to) =>
    eachField(request, from, to, 2, (scopeFrom, scopeTo) =>
      eachField(request, scopeFrom, scopeTo, 2, see),
    ),
  );
}

function eachField(
  bytes: Uint8Array,
  from: number,
  to: number,
  number: number,
  see: (from: number, to: number) => void,
): void {
  const field = new FieldReader();
  for (let at = from; at < to && field.read(bytes, at, to); at = field.to) {
    if (field.number === number && field.wireType === 2) see(field.contents, field.to);
  }
}

/** Fields of items that are times, or of points below these. */
const timeFields: Record<Signal, readonly number[]> = {
  traces: [7, 8],
  logs: [1, 11],
  metrics: [3],
};
const pointFields = [5, 7, 9, 10, 11];

/** The latest time of the items that is no later than `nowMs`, in whole ms; 0 when there is none. */
export function latestMs(signal: Signal, request: Uint8Array, nowMs: number): number {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
  let latest = 0;
  const look = (from: number, to: number): void => {
    const field = new FieldReader();
    for (let at = from; at < to && field.read(request, at, to); at = field.to) {
      if (field.wireType !== 1 || !timeFields[signal].includes(field.number)) continue;
      const ms = Math.ceil(Number(view.getBigUint64(field.contents, true)) / 1e6);
      if (ms <= nowMs) latest = Math.max(latest, ms);
    }
  };
  eachItem(request, (from, to) => {
    if (signal !== 'metrics') look(from, to);
    else
      for (const kind of pointFields) {
        eachField(request, from, to, kind, (dataFrom, dataTo) =>
          eachField(request, dataFrom, dataTo, 1, look),
        );
      }
  });
  return latest;
}
