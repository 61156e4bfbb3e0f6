/** Sends requests over a number of connections. Counts what was answered with 200 and what not. */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export interface LoadOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bodies, sent in turn. */
  readonly bodies: readonly Uint8Array[];
  readonly connections: number;
  readonly requests: number;
  /** Requests of all connections together, a second; without it they go as fast as answers come. */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly failed: number;
  /** Why, each reason once: a status, or the code of a connection's fault. */
  readonly reasons: readonly string[];
  readonly seconds: number;
}

/** Sends `requests` requests; resolves when all are answered. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  const beginMs = performance.now();
  let [next, failed] = [0, 0];
  const reasons = new Set<string>();
  const work = async (): Promise<void> => {
    while (next < options.requests) {
      const turn = next++;
      if (options.perSecond !== undefined) {
        const dueMs = beginMs + (turn * 1000) / options.perSecond;
        await pause(Math.max(0, dueMs - performance.now()));
      }
      const body = options.bodies[turn % options.bodies.length] ?? new Uint8Array();
      const outcome = await post(agent, options, body).catch(reasonOf);
      if (outcome === 200) continue;
      failed += 1;
      reasons.add(String(outcome));
    }
  };
  await Promise.all(Array.from({ length: options.connections }, work));
  agent.destroy();
  return {
    sent: next,
    failed,
    reasons: [...reasons],
    seconds: (performance.now() - beginMs) / 1000,
  };
}

function post(agent: Agent, { url, headers }: LoadOptions, body: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, method: 'POST', headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
      answer.once('error', reject);
    });
    outgoing.once('error', (error) => {
      // A connection that the server closes for idleness just when it is used again.
      reject(
        outgoing.reusedSocket ? new Error(`${reasonOf(error)} on a reused connection`) : error,
      );
    });
    outgoing.end(body);
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}
