/**
 * The id that the edge gives a request: a UUID of version 7 (RFC 9562, section 5.7), which carries the time of
 * receipt. So whoever archives the request counts it in the minute in which the edge counted it,
 * whatever way it came. Makes no random number itself.
 */

/** Milliseconds in 48 bits stand in front; what follows is that of `uuid`, a random one of version 4. */
export function requestIdOf(receivedMs: number, uuid: string): string {
  const time = receivedMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${uuid.slice(15)}`;
}

/**
 * When the edge received the request of this id, or of a piece of it, ms since 1970; `undefined` for an id that
 * the edge did not give.
 */
export function receivedMsOf(requestId: string): number | undefined {
  const match =
    /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?:-p\d+)?$/.exec(
      requestId,
    );
  return match ? Number.parseInt(`${match[1]}${match[2]}`, 16) : undefined;
}
