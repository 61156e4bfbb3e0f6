/** Sends requests over a number of connections. Counts what was answered with 200 and what not. */
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export interface LoadOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bodies, sent in turn. */
  readonly bodies: readonly Uint8Array[];
  /** Each is a sender's own, and stays open between its requests. */
  readonly connections: number;
  readonly requests: number;
  /** Requests of all connections together, a second; without it they go as fast as answers come. */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly failed: number;
  /** Why, and how often: a status, or the code of a connection's fault. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Connections that were opened. */
  readonly opened: number;
  readonly seconds: number;
}

/**
 * Senders let a connection go that was idle for so long, as clients do that mean to come before their
 * server: workerd closes one after 5 s and does not announce it, so that a request may cross its end.
 */
const idleMsMax = 4000;

/** Sends `requests` requests; resolves when all are answered. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const beginMs = performance.now();
  const opened = new Set<Socket>();
  const reasons: Record<string, number> = {};
  let next = 0;
  const work = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: idleMsMax });
    while (next < options.requests) {
      const turn = next++;
      if (options.perSecond !== undefined) {
        const dueMs = beginMs + (turn * 1000) / options.perSecond;
        await pause(Math.max(0, dueMs - performance.now()));
      }
      const body = options.bodies[turn % options.bodies.length] ?? new Uint8Array();
      const outcome = await post(agent, options, body, opened).catch(reasonOf);
      if (outcome !== 200) reasons[outcome] = (reasons[outcome] ?? 0) + 1;
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: options.connections }, work));
  return {
    sent: next,
    failed: Object.values(reasons).reduce((sum, count) => sum + count, 0),
    reasons,
    opened: opened.size,
    seconds: (performance.now() - beginMs) / 1000,
  };
}

function post(
  agent: Agent,
  { url, headers }: LoadOptions,
  body: Uint8Array,
  opened: Set<Socket>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, method: 'POST', headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
      answer.once('error', reject);
    });
    outgoing.once('socket', (socket) => opened.add(socket));
    outgoing.once('error', (error) => {
      const how = outgoing.reusedSocket ? 'on a connection that was used before' : 'on a new one';
      reject(new Error(`${reasonOf(error)} ${how}`));
    });
    outgoing.end(body);
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}
