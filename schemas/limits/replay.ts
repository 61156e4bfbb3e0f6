/** Bounds of `tidemark replay` and `tidemark import`. */

/** Items of one request that is sent, unless told otherwise: what SDKs and Collectors send. */
export const replayItemsPerRequest = 2000;

/** Bytes of one request before compression; a larger one is halved unless it is of one item. */
export const replayRequestBytesMax = 4 * 1024 * 1024;

/** Requests under way at once, unless told otherwise, and at most. */
export const replayRequestsAtOnce = 4;
export const replayRequestsAtOnceMax = 64;

/** Longest wait for an answer. */
export const replayRequestMs = 60_000;

/** Times that a request is sent before its fault is final, and the pauses between them. */
export const replayTriesMax = 12;
export const replayPauseMs = 1000;
export const replayPauseMsMax = 60_000;

/** Longest `Retry-After` that is believed. */
export const replayRetryAfterMsMax = 600_000;

/** Bytes of an answer's body that are looked at. */
export const replayAnswerBytesMax = 64 * 1024;

/** Rows among which duplicates are looked for at once: 8 bytes each, more for those that repeat. */
export const replayDedupRowsMax = 2_000_000;

/** Files of which the columns that tell items apart are read at once. */
export const replayDedupFilesAtOnce = 4;

/** Bytes of one line, frame or file of an import, after decompression. */
export const importRecordBytesMax = 256 * 1024 * 1024;

/** Bytes of one spool object that an import writes: larger requests are split. */
export const importObjectBytesMax = 8 * 1024 * 1024;

/** Spool objects that an import writes at once. */
export const importPutsMax = 16;

/** Items that are looked at to tell which signal protobuf bytes are of. */
export const importItemsJudgedMax = 64;

/** Faults of records that an import lists in its report. */
export const importFaultsListedMax = 20;

/** How far the clocks of an importer and of archivers may be apart. */
export const importClockSlackMs = 600_000;
