/** Bounds of the service that finds traces in the archive for the read API. */

/** Lookups under way at once: each lists commits, and reads a row group of some files. */
export const lookupsAtOnce = 4;

/** Lookups that wait for one of those; past it they are answered 503. */
export const lookupsWaitingMax = 32;

/** How long one lookup may take, and how long the Worker waits for the answer. */
export const lookupMsMax = 15_000;
export const lookupTimeoutMs = 17_000;

/** Bytes of one answer; a larger trace is refused. */
export const lookupAnswerBytesMax = 8 * 1024 ** 2;

/** Bytes of answers that are kept, how long what was found is kept, and how long that nothing was. */
export const lookupCacheBytesMax = 32 * 1024 ** 2;
export const lookupFoundMs = 60_000;
export const lookupMissingMs = 10_000;

/** Answers that say that there is no such trace weigh so much among those that are kept. */
export const lookupMissingBytes = 256;
