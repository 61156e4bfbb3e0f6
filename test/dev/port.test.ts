/** Tests of the look for free ports. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { assertPortFree, steadyPorts, freePorts } from '../../dev/port.ts';

describe('assertPortFree()', () => {
  it('throws PORT_TAKEN with the port and the flag while somebody listens on it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await expect(assertPortFree(port, 'OTLP/HTTP', '--port')).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `Cannot use port ${port} for OTLP/HTTP: another program listens on it; choose another with --port`,
    });
    await new Promise((resolve) => void server.close(resolve));
    await assertPortFree(port, 'OTLP/HTTP', '--port');
  });
});

describe('freePorts()', () => {
  it('finds different ports that can be listened on', async () => {
    const ports = await freePorts(3);
    expect(new Set(ports).size).toBe(3);
    for (const port of ports) await assertPortFree(port, 'a test', '--none');
  });
});

describe('steadyPorts()', () => {
  it('gives different ports that can be listened on, below those of outgoing connections', async () => {
    const ports = [...(await steadyPorts(3)), ...(await steadyPorts(3))];
    expect(new Set(ports).size).toBe(6);
    expect(Math.max(...ports)).toBeLessThan(32_768);
    for (const port of ports) await assertPortFree(port, 'a test', '--port');
  });
});
