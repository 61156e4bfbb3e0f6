/** A span as the service graph knows it, while its trace is at hand. Only says what there is. */

@unmanaged
export class Node {
  /** Ids are numbers, their first byte the highest, so that they compare as their bytes do. */
  spanId: u64;
  /** 0 where there is none. */
  parent: u64;
  duration: u64;
  tenant: u32;
  service: u32;
  /** As in `spans/peers.ts`. */
  peer: u32;
  kind: u32;
  error: u32;
  marks: u32;
  /** The span that called this one, whether that makes an edge or not; 0 for none. */
  caller: u32;
  /** A consumer's links: from here to there. */
  links: u32;
  linksEnd: u32;
  spare: u32;
}

/** A cache line. */
export const nodeBytes: usize = 64;

/** Marks. An edge leads from the span to another. */
export const hasCalled: u32 = 2;
/** A child of the same service makes the call for it. */
export const isNested: u32 = 4;
/** An edge leads from another span to this one. */
export const isCalled: u32 = 8;

/**
 * OTLP's span kinds (opentelemetry/proto/trace/v1/trace.proto, SpanKind), which the host names in this
 * order; what is more is any other name.
 */
export const internalKind: u32 = 1;
export const serverKind: u32 = 2;
export const clientKind: u32 = 3;
export const producerKind: u32 = 4;
export const consumerKind: u32 = 5;

/** Client or producer: the near side of a call. */
// @ts-ignore: decorator
@inline
export function isOutgoing(kind: u32): bool {
  return kind == clientKind || kind == producerKind;
}

/** Server or consumer: the far side of a call. */
// @ts-ignore: decorator
@inline
export function isIncoming(kind: u32): bool {
  return kind == serverKind || kind == consumerKind;
}
