/**
 * Words for what the WebAssembly module reports in numbers: decode faults and the first rejection
 * of a call. It never sees the payload, and puts none in a message.
 */
import { DecodeError, TidemarkError } from '../schemas/errors.ts';
import { anyValueDepthMax } from '../schemas/limits.ts';

/** Why a span is refused, in the order in which it is judged. */
export type RejectReason =
  | 'trace_id_length'
  | 'trace_id_zero'
  | 'span_id_length'
  | 'span_id_zero'
  | 'parent_span_id_length'
  | 'link_id';

export const rejectReasons: readonly RejectReason[] = [
  'trace_id_length',
  'trace_id_zero',
  'span_id_length',
  'span_id_zero',
  'parent_span_id_length',
  'link_id',
];

/** In the order of the `…Message` numbers of assembly/wire.ts. */
const messages = [
  'ExportTraceServiceRequest',
  'ResourceSpans',
  'Resource',
  'ScopeSpans',
  'InstrumentationScope',
  'Span',
  'Span.Event',
  'Span.Link',
  'Status',
  'KeyValue',
  'AnyValue',
  'ArrayValue',
  'KeyValueList',
];

const capacityFault = 8;

/** In the order of the fault codes of assembly/fault.ts. */
const faults: Partial<Record<number, string>> = {
  1: 'varint is longer than 10 bytes',
  2: 'message ends inside a field',
  3: 'length of a field passes the end of its message',
  5: 'tag has a field number of 0 or above 2^29 - 1, or wire type 6 or 7',
  6: 'group ends that has not begun, or has no end',
  7: `values are nested deeper than ${anyValueDepthMax}`,
};

export interface Fault {
  readonly code: number;
  /** Offset in the request. */
  readonly byteOffset: number;
  /** Of a wrong wire type: `message << 8 | field << 3 | wire type`. */
  readonly detail: number;
}

/** The error for a fault; `action` is how its message begins, such as `Cannot decode`. */
export function faultError(fault: Fault, pagesMax: number): TidemarkError {
  if (fault.code === capacityFault) {
    const mebibytes = pagesMax / 16;
    return new TidemarkError(
      'CAPACITY',
      `Cannot decode OTLP traces: they need more than the ${mebibytes} MiB of memory allowed`,
    );
  }
  const text = faults[fault.code] ?? wireTypeText(fault.detail);
  return new DecodeError(
    `Cannot decode OTLP traces: ${text} (byte ${fault.byteOffset})`,
    fault.byteOffset,
  );
}

function wireTypeText(detail: number): string {
  const message = messages[detail >> 8] ?? 'message';
  return `${message} field ${(detail >> 3) & 31} has wire type ${detail & 7}, which is not its own`;
}

export interface Rejection {
  readonly reason: RejectReason;
  readonly spanIndex: number;
  readonly idBytes: number;
  readonly byteOffset: number;
  /** Index of the link whose id is bad, for the reason `link_id`. */
  readonly linkIndex: number;
  readonly linkField: number;
}

/** One sentence about a rejected span. */
export function rejectionText(rejection: Rejection): string {
  const { reason, idBytes } = rejection;
  const isLink = reason === 'link_id';
  const isTraceId = isLink ? rejection.linkField === 1 : reason.startsWith('trace_id');
  const link = isLink ? `link ${rejection.linkIndex}'s ` : '';
  const field = reason.startsWith('parent')
    ? 'parent_span_id'
    : `${link}${isTraceId ? 'trace_id' : 'span_id'}`;
  const state = reason.endsWith('zero')
    ? 'is all zero'
    : `has ${idBytes} bytes, wanted ${isTraceId ? 16 : 8}`;
  return `Cannot accept span ${rejection.spanIndex}: ${field} ${state} (byte ${rejection.byteOffset})`;
}
