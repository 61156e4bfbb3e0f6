/** Where in a request the walk is: the owners of the item being read, and its index. */
import { Resource, Scope } from './record';

/** Whether the items become rows; else they are kept for the columns. */
export let toRows = false;
/** Addresses of the owners' records. */
let resourceAt: usize = 0;
let scopeAt: usize = 0;
let itemIndex: u32 = 0;

export function startPlace(rows: bool): void {
  toRows = rows;
  itemIndex = 0;
}

// @ts-ignore: decorator
@inline
export function resource(): Resource {
  return changetype<Resource>(resourceAt);
}

// @ts-ignore: decorator
@inline
export function scope(): Scope {
  return changetype<Scope>(scopeAt);
}

export function enterResource(at: usize): void {
  resourceAt = at;
}

export function enterScope(at: usize): void {
  scopeAt = at;
}

/** Index of the next item of the request, rejected ones counted too. */
// @ts-ignore: decorator
@inline
export function nextIndex(): u32 {
  return itemIndex++;
}
