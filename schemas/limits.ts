/**
 * Every bound that the programs keep: sizes of buffers and queues, numbers of tries, depths.
 * What a user may change is a setting (`settings.ts`); what stands here is fixed by a protocol,
 * by a platform, or by what has been measured.
 */

/**
 * Nested arrays and key-value lists deeper than this are refused; protobuf's own default. No
 * setting: what the edge takes, the archiver and every reader of Kafka must be able to decode.
 */
export const anyValueDepthMax = 100;

/** Hard bound on the memory of one transcoder instance (WebAssembly pages of 64 KiB). */
export const transcoderPagesMax = 1024;

/** An R2 or S3 listing returns at most this many keys a page. */
export const listPageKeys = 1000;

/**
 * Spool objects that one drain tick moves to ClickHouse at most. With a read and an insert each,
 * and a delete for every few, a tick stays below the 1,000 subrequests of a Worker's invocation.
 */
export const drainObjectsPerTickMax = 400;

/** Tries of one object-store or ClickHouse request before its error is final. */
export const requestTriesMax = 5;

/** Our clock and the store's may differ by this; watermarks stay behind by as much. */
export const clockSkewMsMax = 60_000;

/** Time to connect to the object store. */
export const objectConnectMs = 5000;

/** Pauses before an object-store request is sent again double from the first up to the second. */
export const objectRetryMs = 100;
export const objectRetryMsMax = 5000;

/** The slowest line on which an upload still ends in time, in bytes per ms: 2 Mbit/s. */
export const objectBytesPerMsMin = 256;

/** Objects from this size on are uploaded in parts of the second size, a few at once. */
export const objectInPartsBytesMin = 32 * 1024 * 1024;
export const objectPartBytes = 16 * 1024 * 1024;
export const objectPartsAtOnce = 4;

/** Longest wait for a store to drop the parts of an upload that was given up. */
export const objectAbortMs = 5000;

/** Writers that race for each of so many keys when a program finds out what a store can do. */
export const probeWriters = 8;
export const probeRounds = 2;

/** Connections that one process holds open to the object store. */
export const objectConnectionsMax = 64;

/** Keys that one DeleteObjects request carries; S3's own bound. */
export const deleteKeysMax = 1000;

/** Small objects (spool objects, commits) that one process reads at once. */
export const objectGetsMax = 16;

/** JSON values that no table names may nest this deep; 100 levels of AnyValue take less. */
export const jsonDepthMax = 512;

/** Request bodies of a known length up to this are read in one call of the runtime. */
export const wholeBodyBytesMax = 256 * 1024;

/** Bytes of a request body that are read at once where its length is not known, or past it. */
export const bodyReadBytes = 64 * 1024;

/**
 * Bytes that a request holds for each one of its inflated body: itself, and rows. A request for
 * which others leave less is refused before it is read or inflated.
 */
export const heldPerByte = 3;

/** The same for JSON, which is held beside the protobuf that is made of it. */
export const heldPerJsonByte = 4;

/** Gzip bodies that inflate to at most this are inflated where they are transcoded. */
export const placedBytesMax = 384 * 1024;

/** Bodies for a sink from this size on are sent in pieces of the second. */
export const streamedBodyBytesMin = 512 * 1024;
export const streamedPieceBytes = 64 * 1024;

/** Zstandard frames that one request body may consist of. */
export const zstdFramesMax = 1024;

/** Largest window, as a power of two, of a Zstandard body: 8 MiB, as RFC 8878 recommends. */
export const zstdWindowLogMax = 23;

/** Characters of a Status message or of a partial success; keeps answers far below 4 MiB. */
export const answerMessageCharsMax = 4096;

/** What `Retry-After` says in answers with status 503, in seconds. */
export const retryAfterSeconds = 2;

/** How long browsers keep the answer to a CORS preflight, in seconds: the most that Chrome keeps. */
export const preflightSeconds = 7200;

/** Spool objects that the drain moves at once: with the R2 calls, below 6 open connections. */
export const drainObjectsAtOnce = 4;

/** A drain begins nothing new after this long: the next tick is near. */
export const drainTickMsMax = 50_000;

/** Ticks in which ClickHouse refuses an object's rows before it is moved aside. */
export const drainTriesMax = 10;

/** Pause of the drain for a table that took nothing: doubles from the first up to the second. */
export const drainBackoffMs = 30_000;
export const drainBackoffMsMax = 480_000;

/** Refused objects whose tries the drain remembers between ticks. */
export const drainRefusedMax = 200;

/** Listing pages that one tick reads of each leg's spool to measure it; past them it says less. */
export const spoolPagesMeasuredMax = 5;

/** Connections that a Worker may have open at once for one request; Cloudflare's own bound. */
export const sinkConnectionsMax = 6;

/** Failures in a row after which a sink is not called, and the pauses before it is tried again. */
export const breakerFailuresMax = 5;
export const breakerOpenMs = 2000;
export const breakerOpenMsMax = 60_000;

/** Records of one call to a Kafka REST proxy, and the longest answer of one that is read. */
export const produceRecordsMax = 500;
export const produceAnswerBytesMax = 1024 * 1024;

/** Answers that say that they are this long at most are not read piece by piece. */
export const produceWholeAnswerBytesMax = 4096;

/** JSON of one record beside the base64 of its value: key, headers and braces. */
export const produceRecordJsonBytesMax = 768;

/** Time of one ClickHouse statement, as its client waits for it. */
export const clickHouseRequestMs = 300_000;

/** A request that is older than this does not count as in flight any more. */
export const leaseMsMax = 300_000;

/** A drain that is older than this was ended by the runtime: cron handlers get 15 minutes. */
export const drainMsMax = 900_000;

/** Groups of one signal and place that are being stored at once. */
export const groupsInFlightMax = 8;

/** Origins that one API key may name, and characters of its note. */
export const keyOriginsMax = 16;
export const keyNoteCharsMax = 100;

/** Records of API keys that one isolate remembers, and as many ids that have none. */
export const keysCachedMax = 1000;

/** How long an isolate believes a record, and how long that an id has none. */
export const keyFreshMs = 30_000;
export const keyMissingMs = 5000;

/** How long an isolate goes on with a record that it knows while Workers KV does not answer. */
export const keyStaleMsMax = 600_000;

/** How long Workers KV may keep a record near the edge, in seconds: the least that it allows. */
export const keyCacheSeconds = 60;

/** Longest wait for Workers KV. */
export const keyLookupMs = 2000;

/** The period of the rate-limiting bindings in wrangler.toml. */
export const ratePeriodSeconds = 10;

/** Tenants and keys whose quota one isolate counts. */
export const quotasMax = 1000;

/** Longest `Retry-After` of a quota, in seconds. */
export const quotaRetrySecondsMax = 3600;

/** Tenants that the edge's own metrics tell apart; the rest are `other`. */
export const meteredTenantsMax = 100;

/** Bytes that the base64 encoder takes at once, a multiple of three; bound to assembly/encode.ts. */
export const base64WindowBytes = 49_152;

/** Bytes of a body that the encoder puts together in its own memory; bound to assembly/encode.ts. */
export const lentBytesMax = 524_288;

/** Notes for the ledger that the edge writes at once, and that an isolate keeps while nobody takes them. */
export const notesPerInsert = 1000;
export const notesKeptMax = 10_000;

/** After so long whoever was to write an isolate's notes is taken for gone. */
export const noteGatherMsMax = 30_000;

/** Values that one call of wrangler reads from Workers KV; Cloudflare's own bound. */
export const kvGetNamesMax = 100;

/** Times that the Worker tries to store a tick of the batch's schedule. */
export const tickTriesMax = 3;
