/** Looks whether ports of the loopback interface are free. Never keeps one. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { TidemarkError } from '../schemas/errors.ts';

/** Throws PORT_TAKEN, naming the flag that chooses another, when `port` cannot be listened on. */
export async function assertPortFree(port: number, use: string, flag: string): Promise<void> {
  try {
    await listenOnce(port);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const reason = code === 'EADDRINUSE' ? 'another program listens on it' : code;
    throw new TidemarkError(
      'PORT_TAKEN',
      `Cannot use port ${port} for ${use}: ${reason}; choose another with ${flag}`,
      { cause },
    );
  }
}

/** `count` different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await listenOnce(0));
  return [...ports];
}

let steps = 0;

/**
 * `count` different free ports below those that systems give to outgoing connections (32768 and up on
 * Linux): for servers that start later, or again, on a port that must not be lost meanwhile.
 */
export async function steadyPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    // Processes begin at different places, and none gives a port twice before it has been round.
    const port = 20_000 + ((process.pid * 37 + steps++) % 12_000);
    await listenOnce(port).then(
      () => ports.push(port),
      () => undefined,
    );
  }
  return ports;
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address() as AddressInfo;
      server.close(() => resolve(address.port));
    });
  });
}
