/**
 * The edges of the service graph as groups of a partial, so that calls are merged and their quantiles
 * selected as those of spans are: caller, callee and connection stand in place of service, operation and
 * kind. Also the guard against too many of them.
 */
import { createHash } from 'node:crypto';
import type { GroupNames } from '../../schemas/partials/spans.ts';
import type { GroupLimit } from './groups.ts';

/** Kinds of what spans name as their peers, by number, as the archive's `PeerKind` says them. */
export const peerKinds = ['', 'database', 'messaging_system', 'virtual_node'] as const;

/** How two nodes are connected: the words of the Collector's servicegraph connector. */
export interface Connection {
  readonly type: (typeof peerKinds)[number];
  /** The side that has no spans of its own. */
  readonly virtual: '' | 'caller' | 'callee';
}

/** By the kernel's number: see `assembly/graph/call.ts`. */
export const connections: readonly Connection[] = [
  { type: '', virtual: '' },
  { type: 'messaging_system', virtual: '' },
  { type: 'database', virtual: 'callee' },
  { type: 'messaging_system', virtual: 'callee' },
  { type: 'virtual_node', virtual: 'callee' },
  { type: 'messaging_system', virtual: 'caller' },
  { type: 'virtual_node', virtual: 'caller' },
];

export const message = 1;
export const toVirtual = 1;
export const messageFromVirtual = 5;
export const fromVirtual = 6;

/** The node that calls servers whose trace begins with them: what the connector calls it. */
export const userNode = 'user';

/** Stands for the nodes past the limit. */
export const overflowNode = '__overflow__';

/** The key of an edge's group. */
export function edgeKey(
  tenantId: string,
  caller: string,
  callee: string,
  connection: number,
): GroupNames {
  return {
    tenantId,
    serviceName: caller,
    operationName: callee,
    spanKind: String(connection),
  };
}

/** How the edge's nodes are connected. */
export function connectionOf({ spanKind }: GroupNames): Connection {
  return connections[Number(spanKind)] ?? { type: '', virtual: '' };
}

/**
 * Renames the edges of each tenant past its first `max`: their virtual node becomes `__overflow__`, and
 * between services the callee. Edges between services come first, and those from users, then others
 * as a hash orders them.
 * Which are kept depends on the set of edges only, so a shard may rename those that cannot be among the
 * first of the period.
 */
export function limitEdges(
  keys: readonly GroupNames[],
  max: number,
): (key: GroupNames) => GroupNames {
  const past = new Map<string, GroupNames>();
  const distinct = new Map(keys.map((key) => [textOf(key), key]));
  for (const own of Map.groupBy(distinct.values(), (key) => key.tenantId).values()) {
    if (own.length <= max) continue;
    const ranked = own
      .filter((key) => !isOverflow(key))
      .map((key) => ({ key, rank: rankOf(key) }))
      .toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
    for (const { key } of ranked.slice(max)) past.set(textOf(key), overflowOf(key));
  }
  return (key) => past.get(textOf(key)) ?? key;
}

/** The same for the merge, which sees the edges one by one. Those of the partials are past no limit by far. */
export class EdgeLimit implements GroupLimit {
  isPassed = false;
  readonly #max: number;
  #keys: GroupNames[] = [];
  #rename = (key: GroupNames) => key;

  /** `max` edges of one tenant stand by themselves. */
  constructor(max: number) {
    this.#max = max;
  }

  see({ tenantId, serviceName, operationName, spanKind }: GroupNames): void {
    this.#keys.push({ tenantId, serviceName, operationName, spanKind });
  }

  end(): void {
    const counts = new Map<string, number>();
    for (const { tenantId } of this.#keys) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1);
    this.isPassed = [...counts.values()].some((count) => count > this.#max);
    if (this.isPassed) this.#rename = limitEdges(this.#keys, this.#max);
    this.#keys = [];
  }

  foldOf(key: GroupNames): GroupNames | undefined {
    const renamed = this.#rename(key);
    // What shards have folded already belongs to what is folded now.
    return renamed === key && !isOverflow(key) ? undefined : renamed;
  }
}

function textOf({ tenantId, serviceName, operationName, spanKind }: GroupNames): string {
  return JSON.stringify([tenantId, serviceName, operationName, spanKind]);
}

function isOverflow({ serviceName, operationName }: GroupNames): boolean {
  return serviceName === overflowNode || operationName === overflowNode;
}

function rankOf(key: GroupNames): string {
  const { type, virtual } = connectionOf(key);
  const text = [key.tenantId, key.serviceName, key.operationName, type, virtual].join('\u001f');
  const hash = createHash('sha256').update(text).digest('hex');
  const isFirst = virtual === '' || (virtual === 'caller' && key.serviceName === userNode);
  return `${isFirst ? 0 : 1}${hash}`;
}

function overflowOf(key: GroupNames): GroupNames {
  const isCaller = connectionOf(key).virtual === 'caller';
  return isCaller ? { ...key, serviceName: overflowNode } : { ...key, operationName: overflowNode };
}
