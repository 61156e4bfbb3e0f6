/**
 * A span as the service graph knows it: one record for each row that was read, in the chunks of
 * `shard.ts`. Only says where its fields are.
 */

export const rowBytes: usize = 88;
/** What `finish` takes for each row: its address twice, and durations. */
export const finishBytes: usize = 24;

/** Ids are kept as numbers, their first byte the highest, so that they compare as their bytes do. */
export const traceHighAt: usize = 0;
export const traceLowAt: usize = 8;
export const spanAt: usize = 16;
/** 0 where there is none. */
export const parentAt: usize = 24;
export const durationAt: usize = 32;
export const ingestedAt: usize = 40;
export const offsetAt: usize = 48;
export const partitionAt: usize = 56;
export const itemIndexAt: usize = 60;
export const tenantAt: usize = 64;
export const serviceAt: usize = 68;
/** Code of the peer's name, by what the span says of it. */
export const peerAt: usize = 72;
export const kindAt: usize = 76;
export const errorAt: usize = 77;
/** 0 where the span names no peer. */
export const peerKindAt: usize = 78;
export const marksAt: usize = 79;
/** Address of the first link, in `graphlink.ts`; 0 for none. */
export const linksAt: usize = 80;
/** Address of the row that called this one, whether that makes an edge or not; 0 for none. */
export const callerAt: usize = 84;

/** In place of the trace id, once the trace is at hand: edges that the row's duration is of, or 0. */
export const edgeInAt: usize = 0;
export const edgeOutAt: usize = 4;

/** Marks. The row's key is less than that of the row read before it. */
export const beginsRun: u32 = 1;
/** An edge leads from the row to another. */
export const hasCalled: u32 = 2;
/** A child of the same service makes the call for it. */
export const isNested: u32 = 4;
/** An edge leads from another row to this one. */
export const isCalled: u32 = 8;

/** OTLP's span kinds (opentelemetry/proto/trace/v1/trace.proto, SpanKind); 6 is any other number. */
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

// @ts-ignore: decorator
@inline
export function kindOf(row: usize): u32 {
  return load<u8>(row, kindAt);
}

// @ts-ignore: decorator
@inline
export function mark(row: usize, bits: u32): void {
  store<u8>(row, <u8>(load<u8>(row, marksAt) | bits), marksAt);
}

// @ts-ignore: decorator
@inline
export function isMarked(row: usize, bits: u32): bool {
  return (load<u8>(row, marksAt) & bits) != 0;
}
