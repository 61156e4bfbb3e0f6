/**
 * The edges of the service graph: groups of `spans/group.ts` among those of spans, whose four words are
 * tenant, caller, callee and connection. A call takes its duration there, and nothing else is kept of it.
 */
import { Node } from './node';
import { findGroup, keepDuration, SpanGroup } from '../spans/group';

/** Tells an edge's connection from a kind of spans. */
export const edgeFlag: u32 = 0x8000_0000;

/**
 * Connections: how the sides are connected, and which of them is virtual. Between services; then with a
 * virtual callee, for the kinds of peers from 1 on; then with a virtual caller.
 */
export const direct: u32 = 0;
export const message: u32 = 1;
export const toVirtual: u32 = 1;
export const messageFromVirtual: u32 = 5;
export const fromVirtual: u32 = 6;

/** Counts a call that took the node's duration. False without room. */
export function addCall(
  node: Node,
  connection: u32,
  caller: u32,
  callee: u32,
  failed: bool,
): bool {
  const at = findGroup(node.tenant, caller, callee, edgeFlag | connection);
  if (at == 0) return false;
  const edge = changetype<SpanGroup>(at);
  edge.raw++;
  edge.errors += u32(failed);
  return keepDuration(edge, node.duration);
}
