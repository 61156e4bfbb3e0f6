/**
 * Entry of the benchmarks' sinks, a process of its own: answers produce requests as a Confluent v2
 * proxy does and inserts as ClickHouse does, at once, and counts them. Keeps nothing.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SinkCounts {
  readonly produces: number;
  readonly records: number;
  readonly inserts: number;
  readonly bytes: number;
}

const counts = { produces: 0, records: 0, inserts: 0, bytes: 0 };
const value = Buffer.from('"value"');

function recordsIn(body: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(value); at !== -1; at = body.indexOf(value, at + 1)) count += 1;
  return count;
}

const server = createServer((request, answer) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const url = request.url ?? '';
    if (url === '/counts') {
      answer.end(JSON.stringify(counts));
      return;
    }
    const body = Buffer.concat(chunks);
    counts.bytes += body.length;
    if (!url.startsWith('/topics/')) {
      counts.inserts += 1;
      answer.end();
      return;
    }
    const records = recordsIn(body);
    counts.produces += 1;
    const offsets = Array.from({ length: records }, () => ({
      partition: 0,
      offset: counts.records++,
    }));
    answer.setHeader('content-type', 'application/vnd.kafka.v2+json');
    answer.end(JSON.stringify({ key_schema_id: null, value_schema_id: null, offsets }));
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.once('disconnect', () => process.exit(0));
