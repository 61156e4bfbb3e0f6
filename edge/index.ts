/**
 * The Worker's entry, and that of its Durable Object: takes the clock, randomness and network from
 * the runtime and hands them to the conductors. One isolate makes one edge and keeps it.
 */
import { DurableObject } from 'cloudflare:workers';
import transcoder from '../aggregator-as/build/transcode.wasm';
import { TidemarkError } from '../schemas/errors.ts';
import { requestIdOf } from '../schemas/requestid.ts';
import type { GroupAnswer, GroupStub } from './commit.ts';
import type { Batch } from './fanout.ts';
import { createGroup } from './commit/gather.ts';
import { CopyCheck } from './copying.ts';
import { refused } from './respond.ts';
import { createEdge } from './serve.ts';
import type { Edge, Env } from './serve.ts';

const bodies = new CopyCheck();

/** What both take from the runtime. */
const runtime = {
  now: () => Date.now(),
  fetch: (url: string, init: RequestInit) => fetch(url, init),
  timeout: (ms: number) => AbortSignal.timeout(ms),
  copiesBodies: () => bodies.copies(),
  // As an error: the embedded stack shows nothing less.
  warn: console.error,
};

let kept: { readonly env: Env; readonly edge: Edge } | undefined;

function edgeOf(env: Env): Edge {
  if (kept?.env === env) return kept.edge;
  const edge = createEdge(env, {
    ...runtime,
    module: transcoder,
    requestId: (receivedMs) => requestIdOf(receivedMs, crypto.randomUUID()),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
  kept = { env, edge };
  return edge;
}

/** The Durable Object that merges the batches of one signal near one place. */
export class Group extends DurableObject<Env> implements GroupStub {
  #group: GroupStub | undefined;

  async add(batch: Batch): Promise<GroupAnswer> {
    this.#group ??= createGroup(this.env, {
      ...runtime,
      later: (ms, then) => setTimeout(then, ms),
    });
    return this.#group.add(batch);
  }
}

export default {
  async fetch(request, env, context) {
    try {
      const answer = edgeOf(env).fetch(request, (task) => context.waitUntil(task));
      // A client that goes away must not stop a batch between its two sinks.
      context.waitUntil(answer);
      return await answer;
    } catch (error) {
      // Settings that cannot be used: clients should try again once they have been put right.
      const log = console.error;
      log(error instanceof TidemarkError ? error.message : error);
      return refused('application/json', error);
    }
  },
  async scheduled({ cron, scheduledTime }, env) {
    await edgeOf(env).scheduled(cron, scheduledTime);
  },
} satisfies ExportedHandler<Env>;
