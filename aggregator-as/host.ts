/**
 * The transcoder's TypeScript side: OTLP trace requests to RowBinary rows or to Arrow columns. It
 * copies bytes into WebAssembly memory once and hands out views of the results; it never compiles
 * a module, reads a file or looks at a clock.
 */
import { transcoderPagesMax } from '../schemas/limits.ts';
import { faultError, rejectionText, rejectReasons } from './fault.ts';
import type { RejectReason } from './fault.ts';

export type { RejectReason } from './fault.ts';

/** Who sent a request and when, and how far from that its spans may begin. */
export interface Receipt {
  readonly tenantId: string;
  /** Milliseconds since 1970, whole. */
  readonly receivedMs: number;
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
}

/** Counts of one call. */
export interface Tally {
  /** Valid spans, quarantined ones included. */
  accepted: number;
  rejected: number;
  rejectedBy: Partial<Record<RejectReason, number>>;
  /** The first rejected span's fault, with the offset in the request. */
  firstRejection: string | undefined;
  /** Accepted spans that begin further from `receivedMs` than `pastMaxMs` or `futureMaxMs`. */
  quarantined: number;
  /** Accepted spans that end before they begin; their duration is 0. */
  clampedDurations: number;
  /** Strings that were not UTF-8; the outputs have U+FFFD in their place. */
  invalidUtf8: number;
}

export interface Rows extends Tally {
  /** A view of the transcoder's memory, valid until its next call. */
  rows: Uint8Array;
  rowCount: number;
}

export interface TranscoderOptions {
  /** Bound on the instance's memory, in pages of 64 KiB. */
  pagesMax?: number;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  configure(pagesMax: number): void;
  verdictAt(): number;
  fault(): number;
  faultOffset(): number;
  faultField(): number;
  rowsInput(requestBytes: number, tenantBytes: number): number;
  tenantAt(): number;
  rowsRun(receivedMs: number, pastMaxMs: number, futureMaxMs: number): number;
  rowsAt(): number;
  rowsBytes(): number;
  rowsCount(): number;
}

const encoder = new TextEncoder();

/** Turns trace requests into rows of `otel_traces`. Keeps its memory between calls. */
export class Transcoder {
  readonly #wasm: Exports;
  readonly #pagesMax: number;
  #tenantId = '';
  #tenant: Uint8Array = new Uint8Array();

  constructor(module: WebAssembly.Module, options: TranscoderOptions = {}) {
    this.#pagesMax = options.pagesMax ?? transcoderPagesMax;
    this.#wasm = instantiate(module, this.#pagesMax);
  }

  /**
   * Rows in the order of `otelTracesColumns` (schemas/tables.ts), one for each accepted span that
   * is not quarantined. Throws `DecodeError` for bytes that are not an ExportTraceServiceRequest
   * and `TidemarkError` CAPACITY; nothing of the request is kept then.
   */
  tracesToRowBinary(request: Uint8Array, receipt: Receipt): Rows {
    const wasm = this.#wasm;
    if (receipt.tenantId !== this.#tenantId) {
      this.#tenantId = receipt.tenantId;
      this.#tenant = encoder.encode(receipt.tenantId);
    }
    const input = wasm.rowsInput(request.length, this.#tenant.length);
    if (input === 0) throw faultOf(wasm, this.#pagesMax);
    const memory = new Uint8Array(wasm.memory.buffer);
    memory.set(request, input);
    memory.set(this.#tenant, wasm.tenantAt());
    const code = wasm.rowsRun(receipt.receivedMs, receipt.pastMaxMs, receipt.futureMaxMs);
    if (code !== 0) throw faultOf(wasm, this.#pagesMax);
    const rows = new Uint8Array(wasm.memory.buffer, wasm.rowsAt(), wasm.rowsBytes());
    return { ...tallyOf(wasm), rows, rowCount: wasm.rowsCount() };
  }
}

function instantiate(module: WebAssembly.Module, pagesMax: number): Exports {
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  exports.configure(pagesMax);
  return exports;
}

function faultOf(wasm: Exports, pagesMax: number): Error {
  const fault = { code: wasm.fault(), byteOffset: wasm.faultOffset(), detail: wasm.faultField() };
  return faultError(fault, pagesMax);
}

/** Reads the counts: words in the order of the class `Verdict` of assembly/verdict.ts. */
function tallyOf(wasm: Exports): Tally {
  const words = new Uint32Array(wasm.memory.buffer, wasm.verdictAt(), 17);
  const word = (index: number) => words[index] ?? 0;
  const rejectedBy: Partial<Record<RejectReason, number>> = {};
  for (const [index, reason] of rejectReasons.entries()) {
    const count = word(5 + index);
    if (count > 0) rejectedBy[reason] = count;
  }
  return {
    accepted: word(0),
    rejected: word(1),
    rejectedBy,
    firstRejection: firstRejection(word),
    quarantined: word(2),
    clampedDurations: word(3),
    invalidUtf8: word(4),
  };
}

function firstRejection(word: (index: number) => number): string | undefined {
  const reason = rejectReasons[word(11) - 1];
  if (!reason) return undefined;
  return rejectionText({
    reason,
    spanIndex: word(12),
    idBytes: word(13),
    byteOffset: word(14),
    linkIndex: word(15) - 1,
    linkField: word(16),
  });
}
