/** Connections that hand out whole answers only, on a real socket. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSockets } from '../../../../workers/clients/kafka/socket.ts';

function frame(text: string): Buffer {
  const bytes = Buffer.alloc(4 + text.length, `\0\0\0\0${text}`);
  bytes.writeInt32BE(text.length, 0);
  return bytes;
}

describe('openSockets()', () => {
  let server: Server;
  let options: { host: string; port: number; ssl: object; onConnect: () => void };

  beforeEach(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    // What kafkajs gives without TLS, whatever its types say.
    const ssl = undefined as unknown as object;
    options = { host: '127.0.0.1', port, ssl, onConnect: () => undefined };
  });

  afterEach(() => {
    server.close();
  });

  it('gives frames whole, wherever they are split, and nothing of one that is cut off', async () => {
    const sent = Buffer.concat([
      frame('one'),
      frame(''),
      frame('three and more'),
      frame('cut off'),
    ]);
    for (let split = 1; split < sent.length - 3; split += 1) {
      const sockets = openSockets();
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      const socket = sockets.open(options);
      const given: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => given.push(chunk)).on('error', () => undefined);
      const [peer] = await accepted;
      peer.setNoDelay(true);
      peer.write(sent.subarray(0, split));
      await pause(2);
      peer.end(sent.subarray(split, -3));
      await once(socket, 'end');
      const whole = sent.subarray(0, -frame('cut off').length);
      expect(Buffer.concat(given).equals(whole), `${split}`).toBe(true);
      sockets.close();
    }
  });

  it('refuses an answer that says it is huge', async () => {
    const sockets = openSockets();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = sockets.open(options);
    socket.on('data', () => undefined);
    const failed = once(socket, 'error');
    const [peer] = await accepted;
    peer.on('error', () => undefined).write(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0]));
    expect(String(await failed)).toContain('limit is');
    peer.destroy();
  });

  it('close() ends what is open and opens nothing more', async () => {
    const sockets = openSockets();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = sockets.open(options);
    const [peer] = await accepted;
    const failed = once(socket, 'error');
    sockets.close();
    await failed;
    expect(() => sockets.open(options)).toThrow('has been closed');
    peer.destroy();
  });
});
