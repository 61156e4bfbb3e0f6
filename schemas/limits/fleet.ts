/** Bounds of the batch on many machines: its coordinator, its workers, and jobs of several processes. */

/** Bytes of tasks that one fetch of a worker asks for; a task has some 600. */
export const taskFetchBytes = 64 * 1024;

/** Tasks of one partition that a worker holds before it reads no further. */
export const tasksHeldPerPartition = 64;

/** Times that one try of a shard is begun: each that ended without a word may have killed its worker. */
export const shardStartsMax = 8;

/** A thread that computes one shard for longer than this is ended. */
export const shardMsMax = 2 * 3_600_000;

/** How often a coordinator says that it waits, and silence after which nobody computes for it. */
export const attemptBeatMs = 30_000;
export const attemptSilentMs = 15 * 60_000;

/**
 * Pauses of a coordinator between two looks for results: a part of the time that it has waited, and of
 * the time that a look takes, between these bounds.
 */
export const lookPauseMsMin = 200;
export const lookPauseMsMax = 10_000;
export const lookPauseShare = 1 / 50;
export const lookTimeFactor = 4;

/** How often a coordinator asks Kafka how far its workers are, and says in its log how far it is. */
export const fleetCheckMs = 10_000;
export const fleetReportMs = 10_000;

/** Time without Kafka after which a coordinator gives its run up; what is computed by then stays. */
export const fleetAwayMsMax = 15 * 60_000;

/** Stored shards, starts and results that are written or read at once. */
export const fleetStoreCallsAtOnce = 8;

/** Times that a shard's task may get lost, and is published again, before its run fails. */
export const taskLossesMax = 5;

/** Tasks of one request to Kafka. */
export const tasksPerRequest = 200;

/** Pauses of a worker that cannot reach the store or Kafka grow from the first to the second. */
export const workerBackoffMs = 500;
export const workerBackoffMsMax = 30_000;

/** Retention of the tasks' topic, where we create it, and of the one of dead letters. */
export const taskRetentionMs = 7 * 24 * 3_600_000;
export const deadTaskRetentionMs = 30 * 24 * 3_600_000;

/** Largest stored shard or plan that is read, inflated: some hundred thousand files. */
export const storedShardBytesMax = 256 * 1024 * 1024;

/** Processes that share one period as an indexed job, and age after which its plan is not gone by. */
export const jobProcessesMax = 10_000;
export const jobAgeMsMax = 24 * 3_600_000;
