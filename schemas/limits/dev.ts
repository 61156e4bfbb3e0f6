/** Bounds of the embedded stack, its ClickHouse, the demo and the traffic generator. */

/** Spans per request of the traffic generator: the SDK's own default. */
export const trafficBatchSpans = 512;

/** Requests that the traffic generator has under way at once. */
export const trafficInFlightMax = 16;

/** Time of one request of the traffic generator, the SDK's own retries included. */
export const trafficTimeoutMs = 60_000;

/** Statements that the in-process ClickHouse runs at once: inserts have their own, so that slow
 * queries never hold them up. */
export const clickHouseQueriesMax = 8;
export const clickHouseInsertsMax = 4;

/** Statements that wait for one of those; past it they are refused with ClickHouse's code 202. */
export const clickHouseWaitingMax = 1000;

/** Longest statement text that the front reads (the engine's own max_query_size is lower). */
export const clickHouseStatementBytesMax = 1024 * 1024;

/** Largest inflated body of one insert; it goes in as one block, so it has to fit in memory. */
export const clickHouseBodyBytesMax = 256 * 1024 * 1024;

/** Largest result of one query: the front holds it whole. */
export const clickHouseResultBytesMax = 256 * 1024 * 1024;

/** Bytes in one of the frames that native clients read: as many as ClickHouse puts into one. */
export const clickHouseFrameBytes = 1024 * 1024;

/** Least time between two flushes of asynchronous inserts of one statement: bounds parts a second. */
export const asyncInsertGapMs = 300;

/** Bodies and bytes that one flush of asynchronous inserts takes at most. */
export const asyncInsertBodiesMax = 400;
export const asyncInsertBytesMax = 64 * 1024 * 1024;

/** Deduplication tokens of asynchronous inserts that the embedded ClickHouse remembers. */
export const asyncInsertTokensMax = 10_000;

/** A child of the embedded stack must be ready in this time, and is killed this long after SIGTERM. */
export const childReadyMs = 60_000;
export const childStopMs = 15_000;

/** Restarts of a child of the embedded stack, and the run time after which they count anew. */
export const childRestartsMax = 5;
export const childSteadyMs = 60_000;

/** Pauses before a restart double from the first up to the second. */
export const childBackoffMs = 500;
export const childBackoffMsMax = 8000;

/** Last lines of a child's output that an error about it shows. */
export const childLinesKept = 8;

/** Pause between two drains of the spool by the embedded stack: workerd runs no crons itself. */
export const drainIntervalMs = 60_000;

/** Tries to take the lock of a data directory from owners that are dead. */
export const lockTriesMax = 3;

/**
 * How far the embedded archiver and ClickHouse's merges give way to what must be seen at once, as
 * `nice` has it, up to 19: they may do their work a little later.
 */
export const archiveNice = 10;
export const clickHouseMergeNice = 19;

/** Pause between two looks at the embedded edge, and the failures in a row that end it. */
export const edgeProbeMs = 5000;
export const edgeProbesMax = 3;

/** The demo looks at the archive this often, and gives up after this long. */
export const demoPollMs = 250;
export const demoArchiveMs = 120_000;

/** The oldest Java that brokers of Kafka 4 run on, and the heap of the embedded one. */
export const javaVersionMin = 17;
export const kafkaHeapMib = 256;

/** Longest time that Maven may take to fetch Kafka, and the pause of others who wait for it. */
export const kafkaFetchMsMax = 300_000;
export const kafkaLockPollMs = 200;

/** The embedded Kafka must be ready in this time, and is killed this long after SIGTERM. */
export const kafkaReadyMs = 60_000;
export const kafkaStopMs = 10_000;
