/**
 * The transcoder's TypeScript side: OTLP requests to RowBinary rows or to Arrow columns. It
 * copies bytes into WebAssembly memory once and hands out views of the results; it never compiles
 * a module, reads a file or looks at a clock.
 */
import { archiveColumns } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { transcoderPagesMax } from '../schemas/limits.ts';
import { columnWriterPagesMax } from '../schemas/limits/archive.ts';
import { tablesOf } from '../schemas/tables.ts';
import type { SpeedTable } from '../schemas/tables.ts';
import { faultError, rejectionText, rejectReasons } from './fault.ts';
import type { RejectReason } from './fault.ts';
import { NodeReader } from './nodes.ts';
import { PageWriter } from './pages.ts';
import type { PageExports } from './pages.ts';
import type { ColumnBuffers } from './nodes.ts';

export type { ColumnBuffers } from './nodes.ts';
export type { Chunk, Leaf, PageWriter } from './pages.ts';
export type { RejectReason } from './fault.ts';

/** Who sent a request and when, and how far from that the times of its items may be. */
export interface Receipt {
  readonly tenantId: string;
  /** Milliseconds since 1970, whole. */
  readonly receivedMs: number;
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
}

/** Counts of one call. */
export interface Tally {
  /** Valid items, quarantined ones included. */
  accepted: number;
  rejected: number;
  rejectedBy: Partial<Record<RejectReason, number>>;
  /** The first rejected item's fault, with the offset in the request. */
  firstRejection: string | undefined;
  /** Accepted items whose times are further from `receivedMs` than the receipt allows. */
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

/** Rows for one table of the speed layer. */
export interface TableRows {
  readonly table: SpeedTable;
  /** RowBinary in the order of `speedTables` (schemas/tables.ts). */
  readonly rows: Uint8Array;
  readonly rowCount: number;
}

/** What a request became: rows by table; tables without a row are not named. */
export interface Transcoded extends Tally {
  /** Views of the transcoder's memory, valid until its next call. */
  tables: readonly TableRows[];
}

export interface TranscoderOptions {
  /** Bound on the instance's memory, in pages of 64 KiB. */
  pagesMax?: number;
  /** An item with more attributes of its own is rejected. @default no bound */
  attributesMax?: number;
}

/** Where a request comes from: its place in a Kafka partition or in the spool. */
export interface Provenance extends Receipt {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/**
 * One hour's items as columns, sorted by the first column, then by what its signal's columns in
 * schemas/archive.ts say, then by arrival.
 */
export interface HourBatch {
  signal: Signal;
  /** Start of the hour, milliseconds since 1970. */
  hourMs: number;
  /** Whether these are the hour's quarantined items, which lie under their receive hour. */
  quarantined: boolean;
  rows: number;
  /** Least and greatest `Timestamp` of the rows, as the column has it: a signed number. */
  timeMinNs: bigint;
  timeMaxNs: bigint;
  /** One for each of the signal's `archiveColumns` (schemas/archive.ts), in that order. */
  columns: ColumnBuffers[];
  /** 16 bytes for each row, ascending: the data of the first column. */
  sortIds: Uint8Array;
  /** Makes Parquet pages of the columns; may move their memory, and then the views are void. */
  pages: PageWriter;
}

interface Exports extends PageExports {
  configure(pagesMax: number, attributesMax: number): void;
  verdictAt(): number;
  fault(): number;
  faultOffset(): number;
  faultField(): number;
  inflateInput(bytes: number, requestBytes: number): number;
  inflateRun(bytes: number, requestBytes: number): number;
  inflatedAt(): number;
  rowsInput(requestBytes: number, tenantBytes: number): number;
  tenantAt(): number;
  rowsRun(signal: number, receivedMs: number, pastMaxMs: number, futureMaxMs: number): number;
  rowsDigest(): number;
  rowsAt(table: number): number;
  rowsBytes(table: number): number;
  rowsCount(table: number): number;
  columnsReset(signal: number): number;
  columnsInput(requestBytes: number, tenantBytes: number, topicBytes: number): number;
  topicAt(): number;
  columnsAdd(
    receivedMs: number,
    pastMaxMs: number,
    futureMaxMs: number,
    partition: number,
    offset: bigint,
  ): number;
  columnsRows(): number;
  hoursPrepare(): number;
  hourEmit(index: number): number;
  hourMs(index: number): number;
  hourQuarantined(index: number): number;
  hourRows(index: number): number;
  hourTimeMin(index: number): bigint;
  hourTimeMax(index: number): bigint;
}

const encoder = new TextEncoder();

/** Numbers of the signals in assembly/otlp/signal.ts. */
const signalNumbers: Record<Signal, number> = { traces: 0, logs: 1, metrics: 2 };

/** Turns requests into rows of the speed layer's tables. Keeps its memory between calls. */
export class Transcoder {
  readonly #wasm: Exports;
  readonly #pagesMax: number;
  #inflatedBytes = 0;
  #tenantId = '';
  #tenant: Uint8Array = new Uint8Array();

  constructor(module: WebAssembly.Module, options: TranscoderOptions = {}) {
    this.#pagesMax = options.pagesMax ?? transcoderPagesMax;
    this.#wasm = instantiate(module, this.#pagesMax, options.attributesMax);
  }

  /**
   * Rows in the order of `speedTables` (schemas/tables.ts) for every accepted item that is not
   * quarantined. Throws `DecodeError` for bytes that are not an Export…ServiceRequest of the signal
   * and `TidemarkError` CAPACITY; nothing of the request is kept then.
   */
  toRowBinary(signal: Signal, request: Uint8Array, receipt: Receipt): Transcoded {
    this.#run(signal, request, receipt);
    const tables = tablesOf[signal]
      .map((table, index) => ({ table, ...this.#table(index) }))
      .filter(({ rowCount }) => rowCount > 0);
    return { ...tallyOf(this.#wasm, signal), tables };
  }

  /**
   * 32 hex digits that name the request of the last `toRowBinary`: a hash of its bytes, its tenant and
   * its signal (MurmurHash3, 128 bits). Who knows a request can make another of the same tenant with
   * the same digest: it tells copies apart from others, and is no proof.
   */
  digest(): string {
    const at = this.#wasm.rowsDigest();
    const words = new DataView(this.#wasm.memory.buffer, at, 16);
    const half = (offset: number) => words.getBigUint64(offset).toString(16).padStart(16, '0');
    return half(0) + half(8);
  }

  /**
   * Inflates a DEFLATE stream (RFC 1951) to where the request of the next `toRowBinary` lies, which copies
   * `inflated` no more. False when it is not just `requestBytes` long, damaged, or there is no room: all that
   * says is that somebody else should try.
   */
  inflate(deflated: Uint8Array, requestBytes: number): boolean {
    const wasm = this.#wasm;
    const at = wasm.inflateInput(deflated.length, requestBytes);
    if (at === 0) return false;
    new Uint8Array(wasm.memory.buffer).set(deflated, at);
    this.#inflatedBytes = requestBytes;
    return wasm.inflateRun(deflated.length, requestBytes) !== 0;
  }

  /** A view of what `inflate` made last, valid until it is called again or another request is transcoded. */
  inflated(): Uint8Array {
    const wasm = this.#wasm;
    return new Uint8Array(wasm.memory.buffer, wasm.inflatedAt(), this.#inflatedBytes);
  }

  /** As `toRowBinary` does it for traces, which have one table. */
  tracesToRowBinary(request: Uint8Array, receipt: Receipt): Rows {
    this.#run('traces', request, receipt);
    return { ...tallyOf(this.#wasm, 'traces'), ...this.#table(0) };
  }

  #table(index: number): { rows: Uint8Array; rowCount: number } {
    const wasm = this.#wasm;
    const rows = new Uint8Array(wasm.memory.buffer, wasm.rowsAt(index), wasm.rowsBytes(index));
    return { rows, rowCount: wasm.rowsCount(index) };
  }

  #run(signal: Signal, request: Uint8Array, receipt: Receipt): void {
    const wasm = this.#wasm;
    if (receipt.tenantId !== this.#tenantId) {
      this.#tenantId = receipt.tenantId;
      this.#tenant = encoder.encode(receipt.tenantId);
    }
    // Its own view ends when the memory grows, but the bytes stay where they are.
    const isPlaced = request.buffer === wasm.memory.buffer;
    const input = wasm.rowsInput(request.length, this.#tenant.length);
    if (input === 0) throw faultOf(wasm, signal, this.#pagesMax);
    const memory = new Uint8Array(wasm.memory.buffer);
    if (!isPlaced) memory.set(request, input);
    memory.set(this.#tenant, wasm.tenantAt());
    const { receivedMs, pastMaxMs, futureMaxMs } = receipt;
    const code = wasm.rowsRun(signalNumbers[signal], receivedMs, pastMaxMs, futureMaxMs);
    if (code !== 0) throw faultOf(wasm, signal, this.#pagesMax);
  }
}

/** Keeps the items of many requests of one signal and writes them as columns, an hour at a time. */
export class ItemColumns {
  readonly #wasm: Exports;
  #signal: Signal;
  readonly #pagesMax: number;
  #requestBytes = 0;
  /** Counts what invalidates the hours given out. */
  #edition = 0;

  constructor(module: WebAssembly.Module, signal: Signal, options: TranscoderOptions = {}) {
    this.#signal = signal;
    this.#pagesMax = options.pagesMax ?? columnWriterPagesMax;
    this.#wasm = instantiate(module, this.#pagesMax, options.attributesMax);
    if (this.#wasm.columnsReset(signalNumbers[signal]) !== 0) throw this.#fault();
  }

  #fault(): Error {
    return faultOf(this.#wasm, this.#signal, this.#pagesMax);
  }

  /** Items kept. */
  get rowCount(): number {
    return this.#wasm.columnsRows();
  }

  /** Bytes of the requests kept. */
  get requestBytes(): number {
    return this.#requestBytes;
  }

  /**
   * Decodes one request and keeps its accepted items. Invalidates what `hours` gave. Throws
   * `DecodeError` for bytes that are not an Export…ServiceRequest of the signal and `TidemarkError`
   * CAPACITY; nothing of the request is kept then, and what was kept before stays.
   */
  add(request: Uint8Array, provenance: Provenance): Tally {
    const wasm = this.#wasm;
    this.#edition++;
    const tenant = encoder.encode(provenance.tenantId);
    const topic = encoder.encode(provenance.topic);
    const input = wasm.columnsInput(request.length, tenant.length, topic.length);
    if (input === 0) throw this.#fault();
    const memory = new Uint8Array(wasm.memory.buffer);
    memory.set(request, input);
    memory.set(tenant, wasm.tenantAt());
    memory.set(topic, wasm.topicAt());
    const { receivedMs, pastMaxMs, futureMaxMs, partition, offset } = provenance;
    const code = wasm.columnsAdd(receivedMs, pastMaxMs, futureMaxMs, partition, offset);
    if (code !== 0) throw this.#fault();
    this.#requestBytes += request.length;
    return tallyOf(wasm, this.#signal);
  }

  /**
   * The kept items by event hour, ascending; the quarantined ones in batches of their own under the
   * hour in which they were received. A batch's buffers are valid until the next one is asked for,
   * or `add` or `reset` called. Throws `TidemarkError` CAPACITY.
   */
  *hours(): Generator<HourBatch, void, undefined> {
    const wasm = this.#wasm;
    const count = wasm.hoursPrepare();
    if (count < 0) throw this.#fault();
    const edition = ++this.#edition;
    for (let index = 0; index < count; index++) {
      if (edition !== this.#edition)
        throw new Error('Bug: hours() was called again, or add() or reset()');
      yield this.#hour(index);
    }
  }

  #hour(index: number): HourBatch {
    const wasm = this.#wasm;
    const nodes = wasm.hourEmit(index);
    if (nodes === 0) throw this.#fault();
    const reader = new NodeReader(wasm.memory.buffer, nodes);
    const columns = archiveColumns[this.#signal].map(({ type }) => reader.column(type));
    return {
      signal: this.#signal,
      hourMs: wasm.hourMs(index),
      quarantined: wasm.hourQuarantined(index) !== 0,
      rows: wasm.hourRows(index),
      timeMinNs: wasm.hourTimeMin(index),
      timeMaxNs: wasm.hourTimeMax(index),
      columns,
      sortIds: columns[0]?.data as Uint8Array,
      pages: new PageWriter(wasm, () => this.#fault()),
    };
  }

  /** Forgets everything; the memory stays for what comes next, of this signal. */
  reset(signal: Signal = this.#signal): void {
    this.#edition++;
    this.#signal = signal;
    this.#wasm.columnsReset(signalNumbers[signal]);
    this.#requestBytes = 0;
  }
}

function instantiate(
  module: WebAssembly.Module,
  pagesMax: number,
  attributesMax = 0xffff_ffff,
): Exports {
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  exports.configure(pagesMax, attributesMax);
  return exports;
}

function faultOf(wasm: Exports, signal: Signal, pagesMax: number): Error {
  const fault = { code: wasm.fault(), byteOffset: wasm.faultOffset(), detail: wasm.faultField() };
  return faultError(signal, fault, pagesMax);
}

/** Where the counts of reasons begin among the words of assembly/otlp/verdict.ts, after `Verdict`. */
const reasonsAt = 11;

/** Reads the counts: words in the order of the class `Verdict` of assembly/otlp/verdict.ts. */
function tallyOf(wasm: Exports, signal: Signal): Tally {
  const reasons = rejectReasons[signal];
  const words = new Uint32Array(wasm.memory.buffer, wasm.verdictAt(), reasonsAt + reasons.length);
  const word = (index: number) => words[index] ?? 0;
  const rejectedBy: Partial<Record<RejectReason, number>> = {};
  for (const [index, reason] of reasons.entries()) {
    const count = word(reasonsAt + index);
    if (count > 0) rejectedBy[reason] = count;
  }
  return {
    accepted: word(0),
    rejected: word(1),
    rejectedBy,
    firstRejection: firstRejection(word, signal),
    quarantined: word(2),
    clampedDurations: word(3),
    invalidUtf8: word(4),
  };
}

function firstRejection(word: (index: number) => number, signal: Signal): string | undefined {
  const reason = rejectReasons[signal][word(5) - 1];
  if (!reason) return undefined;
  return rejectionText(signal, {
    reason,
    itemIndex: word(6),
    size: word(7),
    byteOffset: word(8),
    part: word(9) - 1,
    field: word(10),
  });
}
