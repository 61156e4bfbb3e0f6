/**
 * A TCP connection to Kafka that misbehaves on cue: reads requests and answers frame by frame, and
 * holds back, delays, cuts or swallows the answers that a test names. Changes no byte of them.
 */
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Numbers of Kafka's requests: protocol guide, "Api Keys". */
export const apiKeys = {
  fetch: 1,
  metadata: 3,
  findCoordinator: 10,
  joinGroup: 11,
  heartbeat: 12,
  syncGroup: 14,
} as const;

/**
 * What becomes of an answer: `swallow` gives the client nothing, `reset` half of it and then the end of
 * the connection, a number the whole of it so many ms later.
 */
export type Fate = 'pass' | 'swallow' | 'reset' | number;

export interface Wire {
  /** Where clients connect to. */
  readonly port: number;
  /** Port of the broker. */
  target: number;
  /**
   * Asked for each answer, with the number of its request: those by whose name, of a group or a topic,
   * the request is about.
   */
  readonly fates: Map<string, (apiKey: number) => Fate>;
  close(): Promise<void>;
}

/** Listens on loopback; `target` is to be set before the first connection. */
export async function startWire(): Promise<Wire> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const broker = createConnection(wire.target, '127.0.0.1');
    sockets.add(client).add(broker);
    const asked = new Map<number, Buffer>();
    const end = () => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) socket.on('error', end).on('close', end);
    client.on(
      'data',
      byFrame((frame) => {
        asked.set(frame.readInt32BE(8), frame);
        broker.write(frame);
      }),
    );
    let sent = Promise.resolve();
    broker.on(
      'data',
      byFrame((frame) => {
        const fate = fateOf(wire, asked.get(frame.readInt32BE(4)));
        sent = sent.then(() => answer(client, frame, fate));
      }),
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const wire: Wire = {
    port: (server.address() as AddressInfo).port,
    target: 0,
    fates: new Map(),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return wire;
}

function fateOf({ fates }: Wire, request: Buffer | undefined): Fate {
  for (const [name, fate] of fates) {
    if (request?.includes(name)) return fate(request.readInt16BE(4));
  }
  return 'pass';
}

async function answer(client: Socket, frame: Buffer, fate: Fate): Promise<void> {
  if (fate === 'swallow') return;
  if (typeof fate === 'number') await pause(fate);
  if (fate !== 'reset') {
    if (!client.destroyed) client.write(frame);
    return;
  }
  client.write(frame.subarray(0, Math.ceil(frame.length / 2)));
  // Both sides need a moment, or the half is lost with the connection.
  await pause(50);
  client.resetAndDestroy();
}

/** Calls back with every whole frame: its length in four bytes, then so many. */
function byFrame(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      onFrame(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}
