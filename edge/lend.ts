/**
 * Bytes that may lie in memory which somebody else uses next. Whoever wants to keep them takes a copy;
 * it decides nothing.
 */

/** Bytes, or what gives them in memory that is used again after the next turn of the event loop. */
export type Lent = Uint8Array | (() => Uint8Array);

/** The bytes where they lie: to be read at once. */
export function viewOf(lent: Lent): Uint8Array {
  return lent instanceof Uint8Array ? lent : lent();
}

/** The bytes in memory of their own. */
export function copyOf(lent: Lent): Uint8Array {
  return lent instanceof Uint8Array ? lent : new Uint8Array(lent());
}
