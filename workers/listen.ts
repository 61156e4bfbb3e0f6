/** Lets an HTTP server listen on an address of the settings, and says why where it cannot. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TidemarkError } from '../schemas/errors.ts';

export interface Address {
  /** Name or IP address; IPv6 with or without brackets. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** For messages: what is served there, such as `Kafka REST`. */
  readonly what: string;
  /** For messages: how to choose another port. */
  readonly hint: string;
}

/** The URL under which `server` listens now, without a path. Throws PORT_TAKEN. */
export async function listenOn(server: Server, address: Address): Promise<string> {
  const { host, port, what, hint } = address;
  const bare = host.replace(/^\[|\]$/g, '');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program has taken it' : cause.message;
      const message = `Cannot serve ${what} on ${host}:${port}: ${why}; ${hint}`;
      reject(new TidemarkError('PORT_TAKEN', message, { cause }));
    });
    server.listen(port, bare, resolve);
  });
  const name = bare.includes(':') ? `[${bare}]` : bare;
  return `http://${name}:${(server.address() as AddressInfo).port}`;
}
