/**
 * A day of spans as the archiver would have archived it: OTLP requests, decoded and written to files by its
 * own encoder. 40 services of 25 operations, durations log-normal by operation, traces of 4 to 16 spans
 * over several services with parents and peers, 3 % of the requests delivered twice. The same on every run.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { fileKey, topics } from '../../schemas/archive.ts';
import type { CommitFile } from '../../schemas/commit.ts';
import { LocalEncoder, type RawRecord } from '../../workers/flush/encode.ts';

const transcoder = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

export const date = '2026-11-21';
const dayMs = Date.parse(date);
const hourMs = 3_600_000;
const services = 40;
const operationsPerService = 25;
const operations = services * operationsPerService;
const spansPerRequest = 512;
const spansPerFlush = 250_000;
/** Of requests, this many of a hundred are delivered again, some flushes later. */
const percentAgain = 3;
const kinds = [1, 2, 2, 3, 3, 1, 4, 5];

export interface Archive {
  readonly files: readonly CommitFile[];
  readonly rows: number;
}

/** xorshift32. */
class Random {
  #state = 20_261_122;

  word(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  unit(): number {
    return this.word() / 2 ** 32;
  }

  /** Normal, mean 0 and deviation 1 (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.unit())) * Math.cos(2 * Math.PI * this.unit());
  }
}

/** What spans of a kind say of the other side of their call. */
function peerOf(operation: number): Buffer[] {
  const kind = kinds[operation % kinds.length] ?? 1;
  if (kind === 3) return [attribute('server.address', `host-${operation % services}`)];
  if (kind < 4) return [];
  return [
    attribute('messaging.system', 'kafka'),
    attribute('messaging.destination.name', `topic-${operation % operationsPerService}`),
  ];
}

/**
 * A span's bytes with blanks: ids at 2 and 20, the parent's, if it has one, at 30; times and the status at
 * fixed places from the end.
 */
function template(operation: number, hasParent: boolean): Buffer {
  const name = Buffer.from(`GET /api/v1/resource-${operation % operationsPerService}/{id}`);
  const attributes = [
    attribute('http.request.method', 'GET'),
    attribute('http.route', `/api/v1/resource-${operation % operationsPerService}/{id}`),
    ...peerOf(operation),
  ];
  const body = Buffer.concat([
    Buffer.from([0x0a, 16]),
    Buffer.alloc(16),
    Buffer.from([0x12, 8]),
    Buffer.alloc(8),
    ...(hasParent ? [Buffer.from([0x22, 8]), Buffer.alloc(8)] : []),
    Buffer.from([0x2a, name.length]),
    name,
    Buffer.from([0x30, kinds[operation % kinds.length] ?? 1]),
    ...attributes.map((bytes) => field(0x4a, bytes)),
    Buffer.from([0x39]),
    Buffer.alloc(8),
    Buffer.from([0x41]),
    Buffer.alloc(8),
    Buffer.from([0x7a, 2, 0x18, 0]),
  ]);
  return field(0x12, body);
}

function attribute(key: string, value: string): Buffer {
  return Buffer.concat([
    field(0x0a, Buffer.from(key)),
    field(0x12, field(0x0a, Buffer.from(value))),
  ]);
}

/** A field of bytes: tag, length as a varint, bytes. */
function field(tag: number, bytes: Buffer): Buffer {
  const head = [tag];
  let rest = bytes.length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  head.push(rest);
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** A request in the making, of one service. */
class Request {
  readonly #resource: Buffer;
  #spans: Buffer[] = [];

  constructor(service: number) {
    const attributes = [
      attribute('service.name', `service-${service}`),
      attribute('service.version', `1.${service}.0`),
    ];
    this.#resource = field(0x0a, Buffer.concat(attributes.map((bytes) => field(0x0a, bytes))));
  }

  /** Adds a span; the request, once it is full. */
  add(span: Buffer): Buffer | undefined {
    this.#spans.push(span);
    return this.#spans.length < spansPerRequest ? undefined : this.take();
  }

  take(): Buffer {
    const scope = field(0x0a, field(0x0a, Buffer.from('bench')));
    const scopeSpans = field(0x12, Buffer.concat([scope, ...this.#spans]));
    this.#spans = [];
    return field(0x0a, Buffer.concat([this.#resource, scopeSpans]));
  }
}

class Traffic {
  readonly #random = new Random();
  readonly #roots = Array.from({ length: operations }, (_, index) => template(index, false));
  readonly #children = Array.from({ length: operations }, (_, index) => template(index, true));
  /** Median and spread of each operation's durations, as logarithms of nanoseconds. */
  readonly #medians = Array.from({ length: operations }, () => 13 + 5 * this.#random.unit());
  readonly #spreads = Array.from({ length: operations }, () => 0.4 + 0.8 * this.#random.unit());
  readonly #requests = Array.from({ length: services }, (_, service) => new Request(service));

  /** Requests of traces that begin within an hour, endlessly. */
  *requests(hour: () => number): Iterable<Buffer> & Iterator<Buffer> {
    const trace = Buffer.alloc(16);
    for (;;) {
      for (let at = 0; at < 16; at += 4) trace.writeUInt32LE(this.#random.word(), at);
      const startMs = hour() + (this.#random.word() % (hourMs - 60_000));
      const count = 4 + (this.#random.word() % 13);
      // A span's parent is any of those before it.
      const ids: Buffer[] = [];
      for (let span = 0; span < count; span += 1) {
        // Some operations are called more often than others.
        const operation = Math.floor(operations * this.#random.unit() * this.#random.unit());
        const parent = ids[this.#random.word() % Math.max(1, span)];
        const { bytes, id } = this.#span(operation, trace, parent, startMs);
        ids.push(id);
        const service = Math.floor(operation / operationsPerService);
        const full = this.#requests[service]?.add(bytes);
        if (full !== undefined) yield full;
      }
    }
  }

  #span(operation: number, trace: Buffer, parent: Buffer | undefined, startMs: number) {
    const templates = parent === undefined ? this.#roots : this.#children;
    const source = templates[operation] ?? Buffer.alloc(0);
    const span = Buffer.allocUnsafe(source.length);
    source.copy(span);
    const ids = source[1] !== undefined && source[1] > 127 ? 3 : 2;
    trace.copy(span, ids + 2);
    span.writeUInt32LE(this.#random.word(), ids + 20);
    span.writeUInt32LE((this.#random.word() | 1) >>> 0, ids + 24);
    parent?.copy(span, ids + 30);
    const median = this.#medians[operation] ?? 13;
    const spread = this.#spreads[operation] ?? 1;
    const durationNs = Math.floor(Math.exp(median + spread * this.#random.normal()));
    const start = BigInt(startMs) * 1_000_000n + BigInt(this.#random.word() % 1_000_000);
    span.writeBigUInt64LE(start, span.length - 21);
    span.writeBigUInt64LE(start + BigInt(durationNs), span.length - 12);
    if (this.#random.word() % 50 === 0) span[span.length - 1] = 2;
    return { bytes: span, id: span.subarray(ids + 20, ids + 28) };
  }
}

/** Writes about `spans` spans of the day to files below `directory`. */
export async function makeArchive(directory: string, spans: number): Promise<Archive> {
  const module = await WebAssembly.compile(await readFile(transcoder));
  const columns = new ItemColumns(module, 'traces');
  const random = new Random();
  const flushes = Math.max(1, Math.round(spans / spansPerFlush));
  let flush = 0;
  const hour = () => dayMs + hourMs * Math.floor((24 * flush) / flushes);
  const requests = new Traffic().requests(hour);
  const files: CommitFile[] = [];
  const again: Buffer[] = [];
  let offset = 0n;
  for (; flush < flushes; flush += 1) {
    columns.reset();
    const encoder = new LocalEncoder(columns, () => 0);
    let rows = 0;
    while (rows < Math.min(spansPerFlush, spans)) {
      const isAgain = again.length > 20 && random.word() % 100 < percentAgain;
      const request = isAgain ? again.shift() : requests.next().value;
      if (request === undefined) break;
      if (!isAgain && random.word() % 100 < percentAgain) again.push(request);
      const receivedMs = hour() + (Number(offset) % hourMs);
      const record: RawRecord = {
        offset,
        receivedMs,
        tenantId: 'default',
        request,
        name: String(offset),
      };
      offset += 1n;
      ({ rows } = encoder.addNow([record], {
        topic: topics.traces,
        partitionNumber: 0,
        rowsMax: 2 * spansPerFlush,
        pastMaxMs: 31 * 24 * hourMs,
        futureMaxMs: 24 * hourMs,
        oversized: new Set(),
      }));
    }
    for (const { bytes, hourMs: ofHour, rows: count, ...file } of encoder.filesNow()) {
      const place = { topic: topics.traces, partition: '0', firstOffset: offset, attempt: 'bench' };
      const key = fileKey('traces', ofHour, place);
      await mkdir(path.dirname(path.join(directory, key)), { recursive: true });
      await writeFile(path.join(directory, key), bytes);
      files.push({
        key,
        bytes: bytes.length,
        rows: count,
        hourMs: ofHour,
        timeMinNs: String(file.timeMinNs),
        timeMaxNs: String(file.timeMaxNs),
        quarantined: file.quarantined,
        rowGroups: file.rowGroups,
      });
    }
    process.stderr.write(`flush ${flush + 1} of ${flushes}\r`);
  }
  return { files, rows: files.reduce((sum, file) => sum + file.rows, 0) };
}
