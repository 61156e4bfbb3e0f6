/**
 * Entry of the benchmarks' sinks, a process of its own: answers produce requests as a Confluent v2
 * proxy does and inserts as ClickHouse does, at once, and counts them. Keeps nothing. With the address
 * of a real ClickHouse it passes inserts on to it until it is told to go alone, and asks it what it
 * cannot know, each question once.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface SinkCounts {
  readonly produces: number;
  readonly records: number;
  readonly inserts: number;
  /** Of inserts in ClickHouse's LZ4 frames. */
  readonly rows: number;
  readonly bytes: number;
}

/** Where the data of a frame begins, behind its checksum, method (LZ4) and sizes. */
const frameStart = 25;
const lz4 = 0x82;

const [, , teacher] = process.argv;
const counts = { produces: 0, records: 0, inserts: 0, rows: 0, bytes: 0 };
const value = Buffer.from('"value"');
const learned = new Map<string, Promise<Buffer>>();
let isAlone = teacher === undefined;

function recordsIn(body: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(value); at !== -1; at = body.indexOf(value, at + 1)) count += 1;
  return count;
}

/**
 * Rows of the Native block in the first LZ4 frame of a body. The block begins with the numbers of
 * columns and rows, and LZ4 with literals: a match has something before it.
 */
function rowsIn(body: Buffer): number {
  if (body[frameStart - 9] !== lz4) return 0;
  let at = frameStart + 1;
  if ((body[frameStart] ?? 0) >>> 4 === 15) while (body[at++] === 255);
  while ((body[at++] ?? 0) >= 0x80);
  let [rows, scale] = [0, 1];
  for (let byte = 0x80; byte >= 0x80; scale *= 0x80) {
    byte = body[at++] ?? 0;
    rows += (byte & 0x7f) * scale;
  }
  return rows;
}

async function ask(url: string, body: Buffer): Promise<Buffer> {
  const answer = await fetch(`${teacher}${url}`, { method: 'POST', body: new Uint8Array(body) });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (!answer.ok) throw new Error(`ClickHouse answered ${answer.status}: ${bytes.toString()}`);
  return bytes;
}

/** ClickHouse's side: an insert is counted, a question is one for the real one. */
async function clickhouse(url: string, body: Buffer): Promise<Buffer> {
  const isInsert = teacher === undefined || /[?&]query=insert/i.test(url);
  if (!isInsert) {
    const question = `${url} ${body.toString('latin1')}`;
    const known = learned.get(question) ?? ask(url, body);
    learned.set(question, known);
    return known;
  }
  if (!isAlone) await ask(url, body);
  counts.inserts += 1;
  counts.rows += rowsIn(body);
  return Buffer.alloc(0);
}

/** A proxy's answer to a produce request. */
function produced(body: Buffer): string {
  const records = recordsIn(body);
  counts.produces += 1;
  const offsets = Array.from({ length: records }, () => ({
    partition: 0,
    offset: counts.records++,
  }));
  return JSON.stringify({ key_schema_id: null, value_schema_id: null, offsets });
}

async function handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
  const url = request.url ?? '';
  if (url === '/alone') isAlone = true;
  if (url === '/alone' || url === '/counts') {
    answer.end(JSON.stringify(counts));
    return;
  }
  const body = await buffer(request);
  counts.bytes += body.length;
  if (url.startsWith('/topics/')) {
    answer.setHeader('content-type', 'application/vnd.kafka.v2+json');
    answer.end(produced(body));
  } else {
    answer.end(await clickhouse(url, body));
  }
}

const server = createServer((request, answer) => {
  handle(request, answer).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    answer.statusCode = 500;
    answer.end();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.once('disconnect', () => process.exit(0));
