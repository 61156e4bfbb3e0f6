/**
 * Requests kept for the archive: their bytes and the records of their spans, in arrival order, with
 * the codes of their dictionary columns. A request is kept whole or not at all.
 */
import { Request, Scope, Resource, Span } from './record';

/** The spans kept, as a list in arrival order, and how many they are. */
export let firstSpan: usize = 0;
export let spanCount: u32 = 0;
let lastSpan: usize = 0;

/** Appends a span to the request being read. */
export function keepSpan(span: Span): void {
  const at = changetype<usize>(span);
  span.next = 0;
  if (lastSpan == 0) firstSpan = at;
  else changetype<Span>(lastSpan).next = at;
  lastSpan = at;
  spanCount++;
}
