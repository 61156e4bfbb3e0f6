/**
 * A server between an S3 client and a real store that answers as stores and networks do on bad days.
 * Passes requests on as they were signed, and never changes what is stored.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/**
 * What becomes of a request. A number: this status, and the store never sees it. `reset`: the
 * connection breaks before the store sees it. `silent`: neither an answer nor an end. `lost` and
 * `mute`: the store does it; then the connection breaks, or nothing comes. `cut`: half of the body.
 */
export type Weather = 'pass' | number | 'reset' | 'silent' | 'lost' | 'mute' | 'cut';

export interface Outage {
  /** The store's endpoint, through here. */
  readonly endpoint: string;
  /** Requests by what became of them. */
  readonly counts: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** Starts it before `endpoint`; `decide` is asked once for each request. */
export async function startOutage(
  endpoint: string,
  decide: (request: http.IncomingMessage) => Weather,
): Promise<Outage> {
  const { hostname, port, pathname } = new URL(endpoint);
  const agent = new http.Agent({ keepAlive: true });
  const counts = new Map<string, number>();
  const server = http.createServer((request, response) => {
    const weather = decide(request);
    counts.set(String(weather), (counts.get(String(weather)) ?? 0) + 1);
    void serve(weather, request, response).catch(() => response.destroy());
  });

  async function serve(
    weather: Weather,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const body = await buffer(request);
    if (weather === 'silent') return;
    if (weather === 'reset') return void request.socket.resetAndDestroy();
    if (typeof weather === 'number') return void response.writeHead(weather).end();
    const { answer, bytes } = await forward(request, body);
    if (weather === 'mute') return;
    if (weather === 'lost') return void request.socket.resetAndDestroy();
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    if (weather === 'pass' || bytes.length < 2) return void response.end(bytes);
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  }

  /** The signature covers the host that the client saw, so that is what the store is told. */
  async function forward(request: http.IncomingMessage, body: Buffer) {
    const { method, headers, url: path } = request;
    const passed = http.request({ hostname, port, agent, method, path, headers });
    passed.end(body);
    const [answer] = (await once(passed, 'response')) as [http.IncomingMessage];
    return { answer, bytes: await buffer(answer) };
  }

  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port: own } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  const path = pathname === '/' ? '' : pathname;
  return { endpoint: `http://127.0.0.1:${own}${path}`, counts, close };
}
