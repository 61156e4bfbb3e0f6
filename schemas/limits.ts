/**
 * Every bound that the programs keep: sizes of buffers and queues, numbers of tries, depths.
 * What a user may change is a setting (`settings.ts`); what stands here is fixed by a protocol,
 * by a platform, or by what has been measured.
 */

/** Nested arrays and key-value lists deeper than this are refused; protobuf's own default. */
export const anyValueDepthMax = 100;

/** Hard bound on the memory of one transcoder instance (WebAssembly pages of 64 KiB). */
export const transcoderPagesMax = 1024;

/** Hard bound on the memory of one archive column writer: a flush of 64 MiB and its columns. */
export const columnWriterPagesMax = 16_384;

/** Response bodies of OTLP/HTTP are kept under this (OTLP 1.11 recommends 4 MiB). */
export const responseBytesMax = 4 * 1024 * 1024;

/** An R2 or S3 listing returns at most this many keys a page. */
export const listPageKeys = 1000;

/** Spool objects that one archiver flush reads at most, whatever their size. */
export const spoolObjectsPerFlushMax = 10_000;

/** Spool objects that one drain tick moves to ClickHouse at most. */
export const drainObjectsPerTickMax = 500;

/** Tries of one object-store or ClickHouse request before its error is final. */
export const requestTriesMax = 5;

/** Row groups of archive files have this many rows: the unit of range reads and of planning. */
export const rowGroupRows = 50_000;

/** Event hours that one flush may open; more than this are merged into the quarantine file. */
export const openHoursMax = 1024;

/** Points that the planner takes from all row groups together, and from one at most. */
export const planSamplesMax = 200_000;
export const samplesPerRowGroupMax = 64;

/** Shards of one period. */
export const shardsMax = 10_000;
