/** Bounds of the batch: planning, shards, the merge, publishing and the schedule. */

/** Points that the planner takes from all row groups together, and from one at most. */
export const planSamplesMax = 200_000;
export const samplesPerRowGroupMax = 64;

/** Points that a shard's cut needs, of all row groups together; each gives at least a few. */
export const samplesPerShard = 2048;
export const samplesPerRowGroupMin = 8;

/** Shards of one period. */
export const shardsMax = 10_000;

/** The last bytes of a Parquet file that are read at once, because footer and page index are among them. */
export const footerBytesGuess = 64 * 1024;

/** Byte ranges closer to each other than this are read by one request. */
export const rangeGapBytesMax = 64 * 1024;

/** Row groups that one shard fetches and decodes at the same time. */
export const rowGroupsInFlight = 6;

/** Distinct tenants, and distinct services, of one shard. */
export const shardNamesMax = 1_000_000;

/** Memory that a process of the batch takes beside its kernels: Node, its threads, what is being read. */
export const batchProcessBytes = 448 * 1024 * 1024;

/**
 * Young objects of a thread that computes, in MB: by itself V8 takes 48, and as much again where they have been. Old ones
 * are not bounded, since who passes that bound is ended.
 */
export const batchYoungMb = 16;

/** What is left of the memory for kernels in any case: the least that can be set. */
export const batchKernelsBytesMin = 64 * 1024 * 1024;

/** Fixed part of the memory of a batch kernel. */
export const kernelBaseBytes = 2 * 1024 * 1024;

/**
 * Memory of the kernel of spans for each row: its duration, in a chunk that may be half empty, and again once
 * it is sorted; and its share of the row groups that are merged at the same time, one of each file.
 */
export const kernelRowBytes = 32;

/** Memory of the kernels of log records and data points for each group, and its share of the tables. */
export const kernelGroupBytes = 112;

/** Memory of log records: 80 for the row, then 16 for the hash table or the body's hash. */
export const kernelLogRowBytes = 96;

/** Severities and hours of one shard that log records are counted by. */
export const shardBucketsMax = 1_000_000;

/** The same of data points: 64 for the row, 24 to compute its series; histograms come on top. */
export const kernelPointRowBytes = 88;

/**
 * What the service graph takes beside: levels of a page; for each row its duration as one of a call, and its
 * share of messages; and of the row groups that are merged, parents, peers and links.
 */
export const kernelGraphBaseBytes = 2 * 1024 * 1024;
export const kernelGraphRowBytes = 24;

/** Producers of messages that the merge joins at once; of each partial's links it reads at least so many. */
export const messageBlockEnds = 65_536;
export const messageChunkEndsMin = 64;

/** Calls of joined messages that are held with 8 bytes each; more are kept as partials. */
export const messageCallsMax = 2_000_000;

/** Time before a day whose data points are read for the totals that the day's begin from. */
export const metricLeadMs = 3_600_000;

/**
 * Buckets of each sign of an hour's exponential histogram; with more its scale is lowered, however far
 * apart what was sent lies. Twice what SDKs have in one point.
 */
export const exponentialBucketsMax = 320;

/** Rows of metrics that are sent in one insert: they are made from partials on the way. */
export const publishSeriesAtOnce = 2000;

/** Hashes of bodies that the merge reads at once of one group of one partial. */
export const mergeHashesAtOnce = 4096;

/** Trace ids that splitting a shard takes as a sample. */
export const splitSamplesMax = 100_000;

/** Times that a shard is split again, should its parts be too large as well. */
export const shardSplitsMax = 8;

/** Times that a shard is tried; a thread that dies counts as a try. */
export const shardTriesMax = 3;

/** Shards are not made smaller than this just to keep more threads busy. */
export const shardRowsMin = 100_000;

/** Days before today that the schedule looks at for late data: spans older are quarantined. */
export const scheduleLookBackDays = 32;

/** Hours before this one that it looks at. What comes later still is in its day's run. */
export const scheduleLookBackHours = 48;

/** Bytes of a partial's hot runs, and of its others: a kernel of 4 GiB has no more. */
export const partialRunBytesMax = 4 * 1024 ** 3;

/** The first bytes of a partial that are read at once, because most headers end among them. */
export const partialHeaderBytesGuess = 64 * 1024;

/** Partials that are no longer than that are read once, whole, as far as they are this long together. */
export const mergeWholeBytesMax = 32 * 1024 * 1024;

/**
 * Bytes of all partials' headers that the merge holds: each has an equal part, and is read in pieces of that
 * size. No piece is smaller than the second.
 */
export const mergeHeaderBytesMax = 128 * 1024 * 1024;
export const mergeHeaderPieceBytesMin = 16 * 1024;

/** Runs of groups whose durations the merge has still to look up; 48 bytes or so each. */
export const mergeRunsWaitingMax = 1_000_000;

/** Runs of folded groups that are read together. */
export const mergeFoldedRunsAtOnce = 4096;

/** Range requests of the merge that are under way at once. */
export const mergeReadsInFlight = 6;

/** Longest request of the merge, unless a single run is longer. */
export const mergeRequestBytesMax = 8 * 1024 * 1024;

/** Durations of one bucket of one group, over all partials, that the merge loads; more are narrowed. */
export const mergeRunBytesMax = 32 * 1024 * 1024;

/** Durations that the merge loads together. */
export const mergeWindowBytesMax = 64 * 1024 * 1024;

/** Rows of one insert when a run is published. */
export const publishRowsPerInsert = 50_000;

/** Buckets of histograms in one such insert, over all rows. */
export const publishBucketsPerInsert = 1_000_000;

/** Times that publishing a run is begun anew. */
export const publishTriesMax = 3;

/** Age after which rows of a run that was never published are taken for the remains of a crash. */
export const debrisAgeMs = 6 * 3_600_000;

/** Files that one `s3` call of a verification names; ClickHouse expands at most 1000 alternatives. */
export const verifyFilesPerSource = 500;

/** Rows whose ids a verification takes as a sample, to cut its slices by. */
export const verifySamplesMax = 200_000;

/** Differences that a verification reports. */
export const verifyDifferencesMax = 20;

/** Commits that the ledger copies at once, and tokens or files in one of its inserts and lists. */
export const ledgerCommitsAtOnce = 256;

/** Keys of a spool that the ledger looks at, and missing files that it names. */
export const ledgerSpoolKeysMax = 200_000;
export const ledgerFilesNamedMax = 20;

/** Requests of a day past which the ledger compares it hour by hour. */
export const ledgerRequestsAtOnce = 2_000_000;

/**
 * After its end a minute is left to settle so long: what the edge received in it is answered, noted and in
 * Kafka by then, clocks apart.
 */
export const ledgerSettleMs = 60_000;

/** Requests are sent again, and their rows left out, within so long. */
export const ledgerRepeatMs = 3_600_000;

/** Periods whose commits the schedule reads at the same time. */
export const periodsLookedAtOnce = 4;

/** Tries to read a lease that is renewed meanwhile. */
export const leaseReadsMax = 5;

/** Ticks of one kind that the scheduler goes back to after it was away. */
export const ticksCaughtUpMax = 1000;

/** Ticks in the store that the scheduler takes at once. */
export const ticksWaitingMax = 10_000;

/** How far back the scheduler asks which ticks are done. */
export const scheduleMemoryMs = 34 * 86_400_000;

/** Rows of the schedule's journal that are kept in memory while ClickHouse is away. */
export const scheduleRowsKept = 10_000;

/** A scheduler that has done nothing for this long is stuck; a run tells how far it is more often. */
export const schedulerTurnMsMax = 3_600_000;

/** Time that a scheduler that stops has for giving its lease back. */
export const leaseReleaseMs = 5000;

/** Periods that a backfill computes at the same time. */
export const backfillParallelMax = 64;

/** Parquet pages that inflate to more than this are left to the library that reads any file. */
export const parquetPageBytesMax = 64 * 1024 * 1024;

/** Footers of files that one thread keeps, so that its next shard need not read them again. */
export const footersKept = 4096;

/** Row groups that a thread has fetched ahead of those that it merges. */
export const rowGroupsAhead = 6;

/** Answers of the store whose memory a thread keeps for the next ones, and the step that it is larger by. */
export const roomsKept = 8;
export const roomStepBytes = 256 * 1024;

/** Failed periods that the status shows. */
export const statusFailuresMax = 20;

/** Pause between two looks of the scheduler at what is provisional and how far the layers are apart. */
export const doubtsPauseMs = 300_000;

/** Items of a day that a service has at least when its own drift is worth an alert. */
export const driftItemsMin = 1000;
