/** Tests of v3 streams over real connections, with a store that the test holds back. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gatewayStreamRecordsMax } from '../../../schemas/limits/kafka.ts';
import { readBody } from '../../../workers/gateway/body.ts';
import type { GatewayRecord, Outcome } from '../../../workers/gateway/record.ts';
import { InFlight } from '../../../workers/gateway/reserve.ts';
import { answerStream } from '../../../workers/gateway/stream.ts';

interface Setup {
  readonly store: (record: GatewayRecord) => Promise<Outcome>;
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
}

/** A server that answers one stream after the other, and what it holds. */
async function serve({ store, bytesMax = 1_000_000, signal }: Setup) {
  const inFlight = new InFlight(bytesMax);
  const faults: unknown[] = [];
  const server = createServer((message, response) => {
    const reservation = inFlight.open();
    answerStream({
      message,
      response,
      reservation,
      store,
      context: { clusterId: 'c', topic: 't' },
      recordBytesMax: 1000,
      now: () => 0,
      signal: signal ?? new AbortController().signal,
    })
      .catch((error: unknown) => faults.push(error))
      .finally(() => reservation.release());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, inFlight, faults };
}

function open(port: number): { stream: ClientRequest; codes: number[]; ended: Promise<void> } {
  const stream = request({ port, host: '127.0.0.1', method: 'POST' });
  stream.on('error', () => undefined);
  const codes: number[] = [];
  const ended = new Promise<void>((resolve) => {
    stream.on('response', (answer: IncomingMessage) => {
      createInterface({ input: answer })
        .on('line', (line) => codes.push((JSON.parse(line) as { error_code: number }).error_code))
        .on('close', resolve);
    });
  });
  return { stream, codes, ended };
}

const stored = (offset: number): Outcome => ({
  partition: 0,
  offset: BigInt(offset),
  timestampMs: 0,
});
const object = '{"value":{"type":"STRING","data":"x"}}';

describe('answerStream()', () => {
  it('reports in the order of the records, whichever is stored first', async () => {
    let count = 0;
    const { port, inFlight } = await serve({
      store: async (record) => {
        count += 1;
        const index = count;
        await pause(record.value?.toString() === 'slow' ? 100 : 0);
        return stored(index);
      },
    });
    const { stream, codes, ended } = open(port);
    stream.end(`{"value":{"type":"STRING","data":"slow"}}${object}{"value":7}${object}`);
    await ended;
    expect(codes).toEqual([200, 200, 422, 200]);
    while (inFlight.bytes > 0) await pause(5);
  });

  it('reads no further than its bound while nothing is stored', async () => {
    const asked: GatewayRecord[] = [];
    const hold = Promise.withResolvers<void>();
    const { port } = await serve({
      store: async (record) => {
        asked.push(record);
        await hold.promise;
        return stored(0);
      },
    });
    const { stream, codes, ended } = open(port);
    stream.end(object.repeat(gatewayStreamRecordsMax + 500));
    while (asked.length < gatewayStreamRecordsMax) await pause(5);
    await pause(50);
    expect(asked.length).toBe(gatewayStreamRecordsMax);
    hold.resolve();
    await ended;
    expect(codes.length).toBe(gatewayStreamRecordsMax + 500);
  });

  it('ends a stream past the budget with 429, after what it has taken', async () => {
    const { port, inFlight } = await serve({ store: async () => stored(0), bytesMax: 100 });
    const { stream, codes, ended } = open(port);
    stream.write(object);
    while (codes.length < 1) await pause(5);
    stream.write(object.repeat(20));
    await ended;
    expect(codes).toEqual([200, 429]);
    stream.destroy();
    while (inFlight.bytes > 0) await pause(5);
  });

  it('stops reading when it is told to, and still reports what it read', async () => {
    const stop = new AbortController();
    const hold = Promise.withResolvers<void>();
    const { port, faults } = await serve({
      signal: stop.signal,
      store: async () => {
        await hold.promise;
        return stored(0);
      },
    });
    const { stream, codes, ended } = open(port);
    stream.write(object);
    await pause(100);
    stop.abort();
    await pause(20);
    hold.resolve();
    await ended;
    expect(codes).toEqual([200]);
    expect(faults).toEqual([]);
    stream.destroy();
  });

  it('gives its memory back when the sender goes away', async () => {
    const { port, inFlight } = await serve({ store: async () => stored(0) });
    const { stream } = open(port);
    stream.write(`{"value":{"type":"STRING","data":"${'x'.repeat(500)}`);
    while (inFlight.bytes < 500) await pause(5);
    stream.destroy();
    while (inFlight.bytes > 0) await pause(5);
  });
});

describe('readBody()', () => {
  it('refuses a body whose sender went away with 400', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const stream = request({ port, host: '127.0.0.1', method: 'POST' });
    stream.on('error', () => undefined);
    stream.write('half');
    const [message] = (await once(server, 'request')) as [IncomingMessage];
    const body = readBody(message, 100, new InFlight(100).open());
    stream.destroy();
    await expect(body).rejects.toMatchObject({ status: 400 });
  });
});
