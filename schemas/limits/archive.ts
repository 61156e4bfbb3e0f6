/** Bounds of the archive fleet: flushes, files, watermarks, status, and what tends the archive. */

/** Hard bound on the memory of one archive column writer: a flush of 64 MiB and its columns. */
export const columnWriterPagesMax = 16_384;

/**
 * What was received in an hour (UTC) is flushed so long after its end, if it was not before: late
 * enough for what is still on its way through Kafka, early enough for hourly runs of the batch.
 */
export const hourCloseMs = 120_000;

/** The longest pause between two looks at the spool, at which a flush can turn out to be due by size. */
export const spoolLookMsMax = 15_000;

/** Requests that one archiver flush takes at most, whatever their size. */
export const flushRecordsMax = 100_000;

/** Of spool objects, each of which is read on its own and named in the commit, fewer. */
export const spoolObjectsPerFlushMax = 10_000;

/** Row groups of archive files have this many rows: the unit of range reads and of planning. */
export const rowGroupRows = 50_000;

/** Event hours that one flush may open; more than this are merged into the quarantine file. */
export const openHoursMax = 1024;

/** Bytes of spool objects that the archiver reads at once, unless a single one is larger. */
export const objectGetBytesMax = 32 * 1024 * 1024;

/** Archive files that one flush uploads at once, each held in memory until it is stored. */
export const archivePutsMax = 4;

/**
 * A spool object is in the listing at most this long after the receive time in its key: the
 * edge's PUT with its retries, and the difference of two clocks. Watermarks stay behind by it.
 */
export const spoolVisibleMsMax = 60_000;

/** An idle archiver moves its watermark when the stored one is this old. */
export const watermarkIntervalMs = 60_000;

/** Pauses of the archiver after a fault grow from the poll interval up to this. */
export const archiverBackoffMsMax = 60_000;

/** What an archiver that was told to stop may still spend on the commit it is in. */
export const archiverStopMsMax = 10_000;

/** Listing pages that `tidemark status` reads of one spool before it says "or more". */
export const statusPagesMax = 20;

/**
 * A partition of which no archiver has written anything for this long, while others of its signal
 * went on, holds no period back: Kafka's own default retention, after which waiting is in vain.
 */
export const silentPartitionMs = 7 * 24 * 3_600_000;

/** How often an archiver asks Kafka whether a topic has got more partitions. */
export const censusIntervalMs = 60_000;

/** One turn of a partition's log that takes longer is stuck: `/healthz` fails then. */
export const turnMsMax = 900_000;

/** Partitions that one archiver's metrics tell apart; the rest are `other`. */
export const meteredPartitionsMax = 1000;

/** How often an archiver that drains a backlog says how far it is, and how often one that keeps up. */
export const backlogReportMs = 10_000;
export const quietReportMs = 60_000;

/** What is this much older than its flush age is a backlog. */
export const backlogAgeMs = 120_000;

/**
 * A partition of which nothing was written for this long, beside its flush age, is not being read: an
 * idle one gets a watermark every minute, a busy one a commit every flush.
 */
export const standstillMs = 300_000;

/**
 * What watermarks are behind the present when all is well, beside the flush age: slack of clocks, and a
 * minute or two.
 */
export const statusDelayMs = 300_000;

/** Hours or days that one `tidemark status` shows at most. */
export const statusPeriodsMax = 1000;

/** Connections of the archiver's metrics and probes. */
export const monitorConnectionsMax = 64;

/** Tenants times minutes that a commit counts rows by; a flush with so many takes nothing more. */
export const commitCountsMax = 10_000;

/** OTLP bytes and records that a flush hands to its encoder at once, unless one alone is larger. */
export const takeBytesMax = 4 * 1024 * 1024;
export const takeRecordsMax = 4096;

/** Decoded bytes that a merge of files puts together at once, as a part of a row group. */
export const mergeBatchBytes = 96 * 1024 * 1024;

/** Tenants that a replacement names of one of its files; of files with more it names none. */
export const mergeTenantsMax = 1000;

/** Commits whose lists of files one sweep keeps in memory: files of one commit lie in many hours. */
export const sweepCommitsKept = 10_000;

/** Objects by which sweepers ask the store for its time are deleted by others when this old. */
export const clockAgeMsMax = 3_600_000;

/** Times that a compactor begins an hour again because another one has replaced files of it. */
export const compactConflictsMax = 3;

/** Files that `tidemark trace` reads at once: a row group of each is in memory. */
export const traceFilesAtOnce = 4;

/** Days before now that `tidemark trace` searches unless it is told which. */
export const traceDaysSearched = 7;

/**
 * Bytes of a Parquet page before compression, about, and of a chunk's dictionary, past which texts
 * are written as they are.
 */
export const pageBytesMax = 1024 * 1024;
export const pageDictionaryBytesMax = 2 * 1024 * 1024;

/** Rows of a page of a file's first column, and of `indexedColumns`. A multiple of 8. */
export const indexedPageRows = 10_000;

/** Level of Zstandard in archive files: 1 costs least, and more gains little on sorted columns. */
export const archiveZstdLevel = 1;
