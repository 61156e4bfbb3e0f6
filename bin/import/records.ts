/**
 * Reads the records of an export file: the lines or frames of the Collector's file exporter, or one
 * whole request. Inflates what is compressed; decides by the first bytes, never by the file's name.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createGunzip, createZstdDecompress, gunzip, zstdDecompress } from 'node:zlib';
import { TidemarkError } from '../../schemas/errors.ts';
import { importRecordBytesMax } from '../../schemas/limits/replay.ts';

const inflateGzip = promisify(gunzip);
const inflateZstd = promisify(zstdDecompress);

/** One request as it stands in the file. */
export interface FileRecord {
  readonly form: 'json' | 'protobuf';
  readonly bytes: Uint8Array;
  /** The line of a text, or the offset of a frame, after decompression: `line 3`, `byte 1024`. */
  readonly where: string;
}

type Chunks = AsyncIterable<Uint8Array>;

/**
 * The records in order. JSON: one request a line, or one for the whole file where that is laid out on
 * many lines. Protobuf: frames of four bytes of length, most significant first, and a request, or
 * one request for the whole file. Throws `TidemarkError` BAD_ENCODING naming the place for what is cut
 * off or too large, and faults of the file system as they are.
 */
export async function* readRecords(path: string): AsyncGenerator<FileRecord, void, undefined> {
  const window = new Window(await inflated(path));
  const first = (await window.peek(1))[0];
  if (first === undefined) return;
  if (isBrace(first) || isSpace(first)) yield* linesOf(window);
  // Field 1, length-delimited: as the length of a frame it would be more than 160 MB.
  else if (first === 0x0a) yield await wholeOf(window, 'protobuf');
  else if (first < 0x0a) yield* framesOf(window);
  else throw bad('it begins like no export of OTLP', 'byte 0');
}

/** JSON may be indented; a line break first is the beginning of protobuf. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function isBrace(byte: number): boolean {
  return byte === 0x7b;
}

async function inflated(path: string): Promise<Chunks> {
  const head = Buffer.alloc(4);
  const file = await open(path);
  try {
    await file.read(head, 0, 4, 0);
  } finally {
    await file.close();
  }
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024 });
  const inflate = isZstd(head) ? createZstdDecompress() : isGzip(head) ? createGunzip() : undefined;
  if (!inflate) return stream;
  stream.on('error', (error) => inflate.destroy(error));
  return stream.pipe(inflate);
}

function isZstd(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 4)).toString('hex') === '28b52ffd';
}

function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

async function* linesOf(window: Window): AsyncGenerator<FileRecord, void, undefined> {
  for (let line = 1; ; line += 1) {
    const bytes = await window.line();
    if (!bytes) return;
    const text = trimmed(bytes);
    if (text.length === 0) continue;
    // A document on many lines: its first one does not end with the brace that ends it.
    if (line === 1 && text.at(-1) !== 0x7d) {
      yield await wholeOf(window, 'json', bytes);
      return;
    }
    yield { form: 'json', bytes: text, where: `line ${line}` };
  }
}

function trimmed(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && isBlank(line[end - 1])) end -= 1;
  let start = 0;
  while (start < end && isBlank(line[start])) start += 1;
  return line.subarray(start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a;
}

async function* framesOf(window: Window): AsyncGenerator<FileRecord, void, undefined> {
  for (;;) {
    const where = `byte ${window.offset}`;
    const head = await window.take(4);
    if (head.length === 0) return;
    if (head.length < 4) throw bad('it ends inside the length of a frame', where);
    const length = Buffer.from(head).readUInt32BE();
    if (length > importRecordBytesMax) throw tooLarge(length, where);
    const frame = await window.take(length);
    if (frame.length < length) throw bad('it ends inside a frame', where);
    const bytes = await inflatedFrame(frame, where);
    const isJson = bytes[0] === 0x7b;
    if (bytes.length > 0) yield { form: isJson ? 'json' : 'protobuf', bytes, where };
  }
}

/** The exporter compresses frames one by one, unless it is told to compress the file. */
async function inflatedFrame(frame: Uint8Array, where: string): Promise<Uint8Array> {
  const bounded = { maxOutputLength: importRecordBytesMax };
  try {
    if (isZstd(frame)) return await inflateZstd(frame, bounded);
    return isGzip(frame) ? await inflateGzip(frame, bounded) : frame;
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message : String(cause), where);
  }
}

async function wholeOf(
  window: Window,
  form: FileRecord['form'],
  before: Uint8Array = new Uint8Array(),
): Promise<FileRecord> {
  const rest = await window.take(importRecordBytesMax + 1);
  if (rest.length > importRecordBytesMax) throw tooLarge(rest.length, 'byte 0');
  return {
    form,
    bytes: Buffer.concat([before, rest]),
    where: form === 'json' ? 'line 1' : 'byte 0',
  };
}

/** Bytes of a stream, of which a part is held. */
class Window {
  /** Bytes that were taken. */
  offset = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(chunks: Chunks) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, or fewer at the end; they stay. */
  async peek(count: number): Promise<Uint8Array> {
    if (this.#held.length < count) {
      const pieces = [this.#held];
      let length = this.#held.length;
      while (length < count) {
        const chunk = await this.#next();
        if (!chunk) break;
        pieces.push(chunk);
        length += chunk.length;
      }
      this.#held = Buffer.concat(pieces);
    }
    return this.#held.subarray(0, count);
  }

  async take(count: number): Promise<Uint8Array> {
    const bytes = await this.peek(count);
    this.#drop(bytes.length);
    return bytes;
  }

  /** Bytes up to and with the next line break, or the rest; `undefined` at the end. */
  async line(): Promise<Uint8Array | undefined> {
    let searched = 0;
    for (;;) {
      const at = this.#held.indexOf(0x0a, searched);
      if (at >= 0) return await this.take(at + 1);
      searched = this.#held.length;
      if (searched > importRecordBytesMax) throw tooLarge(searched, `byte ${this.offset}`);
      // Twice as many each time: a line of many chunks is not copied once for each.
      const more = await this.peek(Math.max(64 * 1024, searched * 2));
      if (more.length === searched) return searched === 0 ? undefined : await this.take(searched);
    }
  }

  #drop(count: number): void {
    this.#held = this.#held.subarray(count);
    this.offset += count;
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      const result = await this.#chunks.next();
      return result.done ? undefined : result.value;
    } catch (cause) {
      if (cause instanceof Error && 'syscall' in cause) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw bad(reason, `byte ${this.offset + this.#held.length}`);
    }
  }
}

function bad(reason: string, where: string): TidemarkError {
  return new TidemarkError('BAD_ENCODING', `${where}: ${reason}`);
}

function tooLarge(bytes: number, where: string): TidemarkError {
  return bad(`a record has ${bytes} bytes or more, limit is ${importRecordBytesMax}`, where);
}
