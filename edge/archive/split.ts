/**
 * Splits an OTLP request that is too large for one Kafka record into several valid requests, on the
 * wire: bytes are cut and put together, never decoded. Every piece repeats what its items stand
 * under (resource, scope, schema URLs, a metric's name and kind, unknown fields); the order stays.
 * Pieces of a log request say how their lines repeat those of pieces before.
 */
import type { Signal } from '../../schemas/archive.ts';
import { FieldReader } from '../../schemas/field.ts';
import { Repeats } from './repeats.ts';

/** One of the requests that a request becomes. */
export interface Piece {
  /** Length of `bytes()`. */
  readonly byteLength: number;
  /** True when it is larger than the limit and cannot be divided further. */
  readonly isOversized: boolean;
  /** Makes the request: a view of the original when that was not split. */
  readonly bytes: () => Uint8Array;
}

/**
 * The pieces of `otlp`, a request of `signal`, each at most `bytesMax` long but for those marked
 * oversized: an item that is too large by itself, what stands under an envelope of more than half a
 * piece (repeating that would multiply the request), and bytes that are no message. A request that
 * fits is its only piece.
 */
export function split(signal: Signal, otlp: Uint8Array, bytesMax: number): Piece[] {
  const whole = { byteLength: otlp.length, isOversized: false, bytes: () => otlp };
  if (otlp.length <= bytesMax) return [whole];
  const request = messageOf(otlp, 0, otlp.length, levels[signal]);
  if (request === undefined || request.envelopeBytes > bytesMax / 2) {
    return [{ ...whole, isOversized: true }];
  }
  const packer = new Packer(otlp, bytesMax, request);
  packer.placeAll(request, levels[signal]);
  const pieces = packer.finish();
  return signal === 'logs' && pieces.length > 1 ? withRepeats(pieces, bytesMax) : pieces;
}

/** Each piece says what of it came before; see `repeatsField`. Few do so at any length. */
function withRepeats(pieces: readonly Piece[], bytesMax: number): Piece[] {
  const repeats = new Repeats();
  return pieces.map(({ bytes }) => {
    const own = bytes();
    const field = repeats.fieldOf(own);
    const byteLength = field.length + own.length;
    const join = () => {
      const joined = new Uint8Array(byteLength);
      joined.set(field);
      joined.set(bytes(), field.length);
      return joined;
    };
    return { byteLength, isOversized: byteLength > bytesMax, bytes: join };
  });
}

/** What a message may be divided into: the level of each repeated field; `item` is not divided. */
interface Level {
  readonly fields: ReadonlyMap<number, Level | 'item'>;
  /** Only one of the fields may be there, and once: the oneof of a metric. */
  readonly isOneof: boolean;
}

/** Field numbers of opentelemetry-proto 1.11: every nesting from a request down to its items. */
const levels: Readonly<Record<Signal, Level>> = {
  traces: repeated(1, repeated(2, repeated(2, 'item'))),
  logs: repeated(1, repeated(2, repeated(2, 'item'))),
  metrics: repeated(1, repeated(2, repeated(2, metricLevel()))),
};

function repeated(field: number, below: Level | 'item'): Level {
  return { fields: new Map([[field, below]]), isOneof: false };
}

/** gauge 5, sum 7, histogram 9, exponential_histogram 10, summary 11; points are field 1 of each. */
function metricLevel(): Level {
  const points = repeated(1, 'item');
  return { fields: new Map([5, 7, 9, 10, 11].map((field) => [field, points])), isOneof: true };
}

/** Bytes `[from, to)` of the original. */
interface Range {
  readonly from: number;
  to: number;
}

/** A message that can be divided: its contents, without key and length. */
interface Message extends Readonly<Range> {
  readonly number: number;
  /** Every field that it is not divided into. */
  readonly envelope: readonly Range[];
  readonly envelopeBytes: number;
}

/** A message of the piece being made. */
interface Node {
  readonly message: Message;
  readonly contents: (Range | Node)[];
  contentBytes: number;
}

/** Fills pieces with fields in order, and opens a field that does not fit whole. */
class Packer {
  readonly #source: Uint8Array;
  readonly #bytesMax: number;
  /** The messages being divided, from the request down. */
  readonly #path: Message[];
  /** Those of them that the piece has already. */
  #open: Node[];
  readonly #pieces: Piece[] = [];
  /** What the field being added adds to each message of the path. */
  readonly #growths: number[] = [];

  constructor(source: Uint8Array, bytesMax: number, request: Message) {
    this.#source = source;
    this.#bytesMax = bytesMax;
    this.#path = [request];
    this.#open = [nodeOf(request)];
  }

  /** Places what the message is divided into. It was read once, so that every field is there. */
  placeAll(message: Message, level: Level): void {
    const field = new FieldReader();
    for (let at = message.from; at < message.to; at = field.to) {
      field.read(this.#source, at, message.to);
      if (isChild(field, level)) this.#place(field, level.fields.get(field.number));
    }
  }

  /** All pieces. */
  finish(): Piece[] {
    if (!this.#isEmpty()) this.#close(false);
    return this.#pieces;
  }

  #place(field: FieldReader, level: Level | 'item' | undefined): void {
    if (this.#add(field, this.#bytesMax)) return;
    const message = this.#divide(field, level);
    if (message !== undefined && typeof level === 'object') {
      this.#path.push(message);
      this.placeAll(message, level);
      this.#path.pop();
      this.#open.length = Math.min(this.#open.length, this.#path.length);
      return;
    }
    if (!this.#isEmpty()) this.#close(false);
    if (this.#add(field, this.#bytesMax)) return;
    this.#add(field, Number.POSITIVE_INFINITY);
    this.#close(true);
  }

  /** The field as a message to divide, unless its envelope and those above take half a piece. */
  #divide(field: FieldReader, level: Level | 'item' | undefined): Message | undefined {
    if (typeof level !== 'object') return undefined;
    const message = messageOf(this.#source, field.contents, field.to, level, field.number);
    if (message === undefined) return undefined;
    const repeatedBytes = [...this.#path, message].reduce((sum, at) => sum + at.envelopeBytes, 0);
    return repeatedBytes <= this.#bytesMax / 2 ? message : undefined;
  }

  /** Adds the field under its path, unless the piece would pass `bytesMax`. */
  #add(field: Range, bytesMax: number): boolean {
    const growths = this.#growths;
    let growth = field.to - field.from;
    for (let depth = this.#path.length - 1; depth >= 0; depth -= 1) {
      growths[depth] = growth;
      const before = this.#open[depth]?.contentBytes;
      const envelopeBytes = this.#path[depth]?.envelopeBytes ?? 0;
      const after = (before ?? envelopeBytes) + growth;
      // The request itself has neither key nor length.
      if (depth === 0) {
        if (after > bytesMax) return false;
      } else growth = framed(after) - (before === undefined ? 0 : framed(before));
    }
    this.#commit(field);
    return true;
  }

  #commit(field: Range): void {
    let depth = 0;
    for (const message of this.#path) {
      let node = this.#open[depth];
      if (node === undefined) {
        node = nodeOf(message);
        this.#open[depth - 1]?.contents.push(node);
        this.#open.push(node);
      }
      node.contentBytes += this.#growths[depth] ?? 0;
      depth += 1;
    }
    const contents = this.#open.at(-1)?.contents ?? [];
    const last = contents.at(-1);
    if (last !== undefined && !('message' in last) && last.to === field.from) last.to = field.to;
    else contents.push({ from: field.from, to: field.to });
  }

  #isEmpty(): boolean {
    return this.#open[0]?.contents.length === 0;
  }

  #close(isOversized: boolean): void {
    const [request] = this.#open;
    if (request === undefined) return;
    const source = this.#source;
    this.#pieces.push({
      byteLength: request.contentBytes,
      isOversized,
      bytes: () => encode(source, request),
    });
    this.#open = [nodeOf(request.message)];
  }
}

function nodeOf(message: Message): Node {
  return { message, contents: [], contentBytes: message.envelopeBytes };
}

/**
 * The message in `[from, to)` when it can be divided at `level`. Undefined when it is not well
 * formed, has nothing to divide, or breaks its oneof: there the last field counts, so that pieces
 * would say something else than the whole.
 */
function messageOf(
  bytes: Uint8Array,
  from: number,
  to: number,
  level: Level,
  number = 0,
): Message | undefined {
  const envelope: Range[] = [];
  let envelopeBytes = 0;
  let childCount = 0;
  const field = new FieldReader();
  for (let at = from; at < to; at = field.to) {
    if (!field.read(bytes, at, to)) return undefined;
    if (isChild(field, level)) childCount += 1;
    else {
      const last = envelope.at(-1);
      if (last?.to === field.from) last.to = field.to;
      else envelope.push({ from: field.from, to: field.to });
      envelopeBytes += field.to - field.from;
    }
  }
  if (childCount === 0 || (level.isOneof && childCount > 1)) return undefined;
  return { number, from, to, envelope, envelopeBytes };
}

function isChild(field: FieldReader, level: Level): boolean {
  return field.wireType === 2 && level.fields.has(field.number);
}

/** Bytes of a message of so many in its parent: key (all field numbers are below 16), length, it. */
function framed(contentBytes: number): number {
  return 1 + varintBytes(contentBytes) + contentBytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest !== 0; rest >>>= 7) bytes += 1;
  return bytes;
}

function encode(source: Uint8Array, request: Node): Uint8Array {
  const bytes = new Uint8Array(request.contentBytes);
  let at = 0;
  const put = ({ from, to }: Range) => {
    bytes.set(source.subarray(from, to), at);
    at += to - from;
  };
  const write = ({ message, contents }: Node) => {
    for (const range of message.envelope) put(range);
    for (const part of contents) {
      if (!('message' in part)) {
        put(part);
        continue;
      }
      bytes[at++] = (part.message.number << 3) | 2;
      for (let rest = part.contentBytes; ; rest >>>= 7) {
        bytes[at++] = rest > 127 ? (rest & 127) | 128 : rest;
        if (rest <= 127) break;
      }
      write(part);
    }
  };
  write(request);
  return bytes;
}
