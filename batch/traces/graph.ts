/**
 * Computes the service graph's part of a shard's partial: the edges as a partial of groups, then what
 * only the merge can join. Reads no file.
 */
import type { GraphWords, KernelEdge, SpanGraph } from '../../aggregator-as/spangraph.ts';
import type { SpanKernel } from '../../aggregator-as/spankernel.ts';
import { composePartial } from '../../schemas/partials/compose.ts';
import { composeMessages } from '../../schemas/partials/messages.ts';
import { compareKeys, publishedQuantiles, type GroupNames } from '../../schemas/partials/spans.ts';
import type { Section } from '../../schemas/partials/section.ts';
import { limitEdges, peerKinds, userNode } from './edges.ts';

/** The texts that the kernel knows by numbers of its own. */
export const graphWords: GraphWords = {
  user: userNode,
  kinds: ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'],
  peerKinds,
};

/**
 * The partial of what the kernel has merged, which is to be written before the kernel is used again. At
 * most `edgesMax` edges of a tenant stand by themselves.
 * Throws `TidemarkError` CAPACITY, CORRUPT_ARCHIVE.
 */
export function encodeGraph(kernel: SpanKernel, graph: SpanGraph, edgesMax: number): Section[] {
  const edges = joinEdges(kernel, graph, edgesMax).toSorted(compareKeys);
  const calls = composePartial(edges, (edge) => kernel.encode(edge, publishedQuantiles));
  return [calls, composeMessages(graph.messages())];
}

/** The edges under their final names; those that have one name then are one. */
function joinEdges(kernel: SpanKernel, graph: SpanGraph, edgesMax: number): KernelEdge[] {
  const edges = graph.edges();
  const rename = limitEdges(edges, edgesMax);
  const joined = new Map<string, KernelEdge>();
  const kept: KernelEdge[] = [];
  for (const edge of edges) {
    const key = rename(edge);
    if (key === edge) {
      kept.push(edge);
      continue;
    }
    const text = textOf(key);
    const into = joined.get(text) ?? graph.makeEdge(key);
    joined.set(text, into);
    kernel.absorb(into, edge);
  }
  // A span may have the overflow's name by itself: that edge is then among those that were kept.
  const made = new Set(Array.from(joined.values(), ({ at }) => at));
  return [...kept.filter(({ at }) => !made.has(at)), ...joined.values()];
}

function textOf({ tenantId, serviceName, operationName, spanKind }: GroupNames): string {
  return JSON.stringify([tenantId, serviceName, operationName, spanKind]);
}
