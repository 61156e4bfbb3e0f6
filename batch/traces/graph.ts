/**
 * Computes the service graph's part of a shard's partial: the edges as a partial of groups, then what
 * only the merge can join. Reads no file.
 */
import type { CallGroup, GraphKernel } from '../../aggregator-as/graphkernel.ts';
import { encodeMessages, type MessageEnd } from '../../schemas/messagepartial.ts';
import { encodePartial, type PartialGroup } from '../../schemas/partial.ts';
import { Names } from '../names.ts';
import { edgeKey, limitEdges } from './edges.ts';
import type { GroupKey } from './merge.ts';

export interface GraphNames {
  readonly tenants: readonly string[];
  readonly nodes: readonly string[];
}

/** The partial of what the kernel was given. At most `edgesMax` edges of a tenant stand by themselves. */
export function encodeGraph(kernel: GraphKernel, names: GraphNames, edgesMax: number): Uint8Array {
  const groups = Array.from(kernel.finish(), (call) => groupOf(call, names));
  const edges = encodePartial(joinGroups(groups, limitEdges(groups, edgesMax)));
  const messages = messagesOf(kernel, names);
  return Buffer.concat([edges, messages]);
}

function groupOf(call: CallGroup, { tenants, nodes }: GraphNames): PartialGroup {
  const { tenant, caller, callee, connection, calls, errors } = call;
  const key = edgeKey(tenants[tenant] ?? '', nodes[caller] ?? '', nodes[callee] ?? '', connection);
  const { durationMinNs, durationMaxNs, durationSumNs, durations } = call;
  return {
    ...key,
    rawCount: calls,
    count: calls,
    errorCount: errors,
    uniqueTraces: 0,
    conflicts: 0,
    durationMinNs,
    durationMaxNs,
    durationSumNs,
    durations,
  };
}

/** The groups under their new names; those that have one name now are one group. */
export function joinGroups(
  groups: readonly PartialGroup[],
  rename: (key: GroupKey) => GroupKey,
): PartialGroup[] {
  const joined = new Map<string, PartialGroup[]>();
  for (const group of groups) {
    const { tenantId, serviceName, operationName, spanKind } = rename(group);
    const key = { tenantId, serviceName, operationName, spanKind };
    const text = JSON.stringify(Object.values(key));
    const own = joined.get(text);
    if (own === undefined) joined.set(text, [{ ...group, ...key }]);
    else own.push({ ...group, ...key });
  }
  return Array.from(joined.values(), joinGroup);
}

function joinGroup(groups: readonly PartialGroup[]): PartialGroup {
  const [first, ...others] = groups;
  if (first === undefined) throw new Error('Bug: a group of no groups');
  if (others.length === 0) return first;
  const sum = (of: (group: PartialGroup) => number) =>
    groups.reduce((total, group) => total + of(group), 0);
  const count = sum((group) => group.count);
  const durations = new BigUint64Array(count);
  let at = 0;
  for (const group of groups) {
    durations.set(group.durations, at);
    at += group.durations.length;
  }
  durations.sort();
  return {
    ...first,
    rawCount: sum((group) => group.rawCount),
    count,
    errorCount: sum((group) => group.errorCount),
    durationMinNs: durations[0] ?? 0n,
    durationMaxNs: durations.at(-1) ?? 0n,
    durationSumNs: groups.reduce((total, group) => total + group.durationSumNs, 0n),
    durations,
  };
}

/** Producers, links into other traces and their consumers, with names of their own. */
function messagesOf(kernel: GraphKernel, { tenants, nodes }: GraphNames): Uint8Array {
  const names = new Names('name of a message', Infinity);
  const ends = {
    producers: kernel.producers(),
    links: kernel.links(),
    consumers: kernel.consumers(),
    counts: kernel.ends,
  };
  const renumber = ({ tenant, service, peer, peerKind }: MessageEnd) => ({
    tenant: names.id(tenants[tenant] ?? ''),
    service: names.id(nodes[service] ?? ''),
    peer: peerKind === 0 ? 0 : names.id(nodes[peer] ?? ''),
  });
  return encodeMessages(ends, renumber, () => names.values());
}
