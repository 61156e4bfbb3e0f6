/**
 * The window of the archiver and of the scheduler: `/metrics` for Prometheus, `/healthz` and `/readyz`
 * for whoever keeps them running. Only shows; has no authorization of its own, so it listens on
 * loopback unless told otherwise.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { monitorConnectionsMax } from '../../schemas/limits/archive.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Log } from '../context.ts';
import { listenOn } from '../listen.ts';
import type { Vitals } from './vitals.ts';

/** What probes are answered from. */
export type Probed = Pick<Vitals, 'faults' | 'stuck' | 'unready'>;

export interface MonitorOptions {
  readonly settings: Pick<Settings, 'TIDEMARK_METRICS_HOST' | 'TIDEMARK_METRICS_PORT'>;
  readonly registry: Registry;
  readonly vitals: Probed;
  readonly log: Log;
}

export interface Monitor {
  /** Where it listens, such as `http://127.0.0.1:9464`. */
  readonly url: string;
  /** Answers what it has been asked, then closes. */
  close(): Promise<void>;
}

/** Serves until it is closed. Throws PORT_TAKEN when it cannot listen. */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  const { TIDEMARK_METRICS_HOST: host, TIDEMARK_METRICS_PORT: port } = options.settings;
  const server = createServer((message, response) => void handle(options, message, response));
  server.maxConnections = monitorConnectionsMax;
  const hint = 'choose another TIDEMARK_METRICS_PORT, or 0 to serve none';
  const url = await listenOn(server, { host, port, what: 'metrics', hint });
  return { url, close: () => close(server) };
}

/** Its answers are small and at once: what is idle is closed, the rest ends by itself. */
async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await closed;
}

async function handle(
  options: MonitorOptions,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const [path] = (message.url ?? '').split('?');
    if (message.method !== 'GET' && message.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(response, 405, 'Use GET\n');
    }
    await answer(options, path ?? '', response);
  } catch (error) {
    options.log.warn({ err: error }, 'Cannot answer a request for metrics or health');
    if (response.headersSent) response.destroy();
    else send(response, 500, 'Internal error\n');
  }
}

async function answer(
  { registry, vitals }: MonitorOptions,
  path: string,
  response: ServerResponse,
): Promise<void> {
  if (path === '/metrics') {
    return send(response, 200, await registry.metrics(), registry.contentType);
  }
  const { faults } = vitals;
  if (path === '/healthz') return judge(response, vitals.stuck(), faults);
  if (path === '/readyz') return judge(response, [...vitals.stuck(), ...vitals.unready()], faults);
  send(response, 404, 'Here are /metrics, /healthz and /readyz\n');
}

/**
 * 200 when there is nothing to complain of, else 503 with one complaint a line. What a restart would
 * not mend is only told: it must not end the process, nor hold up the rollout of what mends it.
 */
function judge(
  response: ServerResponse,
  complaints: readonly string[],
  faults: readonly string[],
): void {
  const isWell = complaints.length === 0;
  const notes = faults.map((fault) => `trying again: ${fault}`);
  const lines = [...(isWell ? ['ok'] : complaints), ...notes];
  send(response, isWell ? 200 : 503, `${lines.join('\n')}\n`);
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  const bytes = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': type, 'content-length': bytes });
  response.end(body);
}
