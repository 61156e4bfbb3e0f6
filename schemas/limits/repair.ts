/** Bounds of `tidemark repair` and of the service that finds traces in the archive. */

/** Missing items of one file that are looked up, made into rows and inserted at a time. */
export const repairItemsPerPage = 50_000;

/** Items of one request that is rebuilt, and its bytes; a larger one is halved. */
export const repairItemsPerRequest = 2000;
export const repairRequestBytesMax = 4 * 1024 * 1024;

/** Bytes of rows of one table that are held before they are inserted. */
export const repairInsertBytesMax = 16 * 1024 * 1024;

/** Surplus rows that one DELETE names: its text must stay below ClickHouse's `max_query_size`. */
export const repairDeletesPerStatement = 10_000;

/** Times that surplus rows of a slice are listed again without one less, because merges moved them. */
export const repairDeleteTriesMax = 20;

/** Times that a rollup of a day is made anew, because items of that day arrived meanwhile. */
export const repairRollupTriesMax = 6;

/** Pause before a rollup is compared again: an insert's rows reach it a little later than their table. */
export const repairRollupPauseMs = 300;

/** Services that a report names. */
export const repairServicesMax = 50;
