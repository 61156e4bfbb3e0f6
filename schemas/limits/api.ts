/** Bounds of the read API of the Worker. */

/** Rows of one answer: when nothing is asked for, and at most. */
export const apiRowsDefault = 100;
export const apiRowsMax = 1000;

/** The longest time between `from` and `to`, and the one that is taken when none is given, ms. */
export const apiRangeMsMax = 31 * 86_400_000;
export const apiRangeMsDefault = 3_600_000;

/** Points of one series at most; the step follows from it when none is given. */
export const apiPointsMax = 400;

/** Spans of one trace that are shown at most. */
export const apiTraceSpansMax = 10_000;

/** What ClickHouse may spend on one answer: seconds, rows that it reads, bytes that it holds and gives. */
export const apiQuerySeconds = 10;
export const apiReadRowsMax = 2_000_000_000;
export const apiMemoryBytes = 2 * 1024 ** 3;
export const apiAnswerBytesMax = 8 * 1024 ** 2;

/** How long the Worker waits for ClickHouse; longer than the query itself may take. */
export const apiTimeoutMs = (apiQuerySeconds + 2) * 1000;

/** Characters of one text parameter. */
export const apiTextCharsMax = 500;

/** Seconds that an answer of final figures, and any other, may be kept by the client. */
export const apiFinalSeconds = 3600;
export const apiLiveSeconds = 0;
