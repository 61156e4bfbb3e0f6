/**
 * The transcoder's entry: what the host calls. Numbers in, addresses and codes out; the host copies
 * the input to the address that it was given, and reads results from the memory.
 */
import { putVarint } from './memory/bytes';
import { tableOf } from './rows/chunks';
import { materializeAll } from './columns/codes';
import { dropRequest, itemCount, keepRequest, resetColumns, startRequest, toKept } from './columns/columns';
import { capacityFault, clearFault, fail, faultAt, faultCode, faultDetail, noFault } from './otlp/fault';
import { sumsOf } from './columns/hour';
import { sortEntries } from './columns/itemsort';
import { consumed, inflate, inflateSlack } from './otlp/inflate';
import { startMetricRows } from './rows/metrics';
import { walkMetrics } from './otlp/metricwalk';
import { align, arenaBase, bound, setTop, slack, top } from './memory/memory';
import { first, mix, second, startHash } from './memory/murmur';
import { groupByHour, sortedCount, sortedHour } from './columns/order';
import { rowCount, rowsEnd, rowsStart, startRows } from './rows/rows';
import { metricsSignal, setSignal, signal } from './otlp/signal';
import { allowAttributes, areRejected, startVerdict, verdictSpace } from './otlp/verdict';
import { walkRequest } from './otlp/walk';
import { inputPadding } from './otlp/wire';
import { writeHour } from './columns/write';

export {
  chunkBegin,
  chunkCodes,
  chunkDense,
  chunkDenseCount,
  chunkNumbers,
  chunkOwners,
  chunksBegin,
  chunkTexts,
  dictionaryAt,
  dictionaryBytes,
  extremeAt,
  extremeBytes,
  extremes,
  pageAt,
  pageBegin,
  pageBytes,
  pageCodes,
  pageEnd,
  pageLevels,
  pagePresent,
  pageTexts,
  pageWide,
} from './pages/pages';

let input: usize = 0;
let inputBytes: usize = 0;
let tenant: usize = 0;
let tenantBytes: usize = 0;

/** Sets the bounds on memory and on an item's attributes. To be called once, first. */
export function configure(pagesMax: u32, attributesMax: u32): void {
  bound(pagesMax);
  allowAttributes(attributesMax);
}

/** Address of the counts: words in the order of the class `Verdict`. */
export function verdictAt(): usize {
  return verdictSpace;
}

export function fault(): i32 {
  return faultCode;
}

/** Offset in the request of the fault. */
export function faultOffset(): u32 {
  return faultAt < input ? 0 : <u32>min(faultAt - input, inputBytes);
}

export function faultField(): u32 {
  return faultDetail;
}

/** Makes room for a request and a tenant's name. Returns the request's address, or 0. */
export function rowsInput(requestBytes: u32, nameBytes: u32): usize {
  clearFault();
  inputBytes = requestBytes;
  tenantBytes = nameBytes;
  input = arenaBase();
  if (<u64>requestBytes + nameBytes > 0x4000_0000) return fail(capacityFault, input);
  tenant = align(input + requestBytes + inputPadding);
  // The name itself, then the row's tail: length, name, time.
  if (!setTop(align(tenant + 2 * tenantBytes + 32 + slack))) return fail(capacityFault, input);
  memory.fill(input + requestBytes, 0, inputPadding);
  return input;
}

/** Where deflated bytes are, and how many. */
let deflated: usize = 0;

/**
 * Makes room for the deflated bytes of a request of so many bytes. Returns their address, or 0 when there is no room.
 */
export function inflateInput(bytes: u32, requestBytes: u32): usize {
  const at = <u64>arenaBase() + requestBytes + inflateSlack;
  if (at + bytes > 0x4000_0000) return 0;
  deflated = align(<usize>at);
  return setTop(align(deflated + bytes + inflateSlack)) ? deflated : 0;
}

/**
 * Inflates so many deflated bytes to where `rowsInput` then has the request. False when they are not
 * a whole stream of just `requestBytes`.
 */
export function inflateRun(bytes: u32, requestBytes: u32): bool {
  const to = arenaBase();
  const end = inflate(deflated, deflated + bytes, to, to + requestBytes);
  return end == to + requestBytes && consumed() == deflated + bytes;
}

/** Where `inflateRun` writes and `rowsInput` has the request. */
export function inflatedAt(): usize {
  return arenaBase();
}

/** Where the tenant's name goes. */
export function tenantAt(): usize {
  return tenant;
}

/** Transcodes the input, a request of this signal. Returns 0, or the fault's code. */
export function rowsRun(kind: u32, receivedMs: f64, pastMaxMs: f64, futureMaxMs: f64): i32 {
  setSignal(kind);
  startVerdict(input, receivedMs, pastMaxMs, futureMaxMs);
  const tail = align(tenant + tenantBytes);
  const tailBytes = writeTail(tail, <i64>receivedMs);
  const end = input + inputBytes;
  if (signal != metricsSignal) {
    startRows(tail, tailBytes);
    return walkRequest(input, end, true) ? noFault : faultCode;
  }
  const start = top;
  startMetricRows(tail, tailBytes);
  if (walkMetrics(input, end, true, true) && !areRejected()) return noFault;
  // Which fault or rejected item is the first shows in the order in which they were sent.
  clearFault();
  setTop(start);
  startVerdict(input, receivedMs, pastMaxMs, futureMaxMs);
  startMetricRows(tail, tailBytes);
  return walkMetrics(input, end, true, false) ? noFault : faultCode;
}

const digestSpace = memory.data(16, 8);

/**
 * Where the 16 bytes are of the hash of the request that was transcoded last, its tenant and its
 * signal: equal for what is sent twice, whenever it is received.
 */
export function rowsDigest(): usize {
  startHash(signal);
  mix(tenant, tenantBytes);
  mix(input, inputBytes);
  store<u64>(digestSpace, first);
  store<u64>(digestSpace, second, 8);
  return digestSpace;
}

/** By signal: reads the input, which ends there, and keeps its items for the columns. */
function walkItems(end: usize): bool {
  if (signal == metricsSignal) return walkMetrics(input, end, false, false);
  return walkRequest(input, end, false);
}

/** Writes TenantId and IngestedAt, which end every row. Returns their size. */
function writeTail(tail: usize, receivedMs: i64): usize {
  const name = putVarint(tail, <u32>tenantBytes);
  memory.copy(name, tenant, tenantBytes);
  store<i64>(name + tenantBytes, receivedMs);
  return name + tenantBytes + 8 - tail;
}

/** Where the rows are of the signal's table with this index in `tablesOf` of schemas/tables.ts. */
export function rowsAt(table: u32): usize {
  return signal == metricsSignal ? tableOf(table).at : rowsStart;
}

export function rowsBytes(table: u32): usize {
  return signal == metricsSignal ? tableOf(table).bytes : rowsEnd - rowsStart;
}

export function rowsCount(table: u32): u32 {
  return signal == metricsSignal ? tableOf(table).rows : rowCount;
}

let topic: usize = 0;
let topicBytes: usize = 0;

/**
 * Forgets all kept requests; the next ones are of this signal. Comes before the first, too. Returns
 * 0 or a fault's code.
 */
export function columnsReset(kind: u32): i32 {
  clearFault();
  setSignal(kind);
  if (!resetColumns()) fail(capacityFault, input);
  return faultCode;
}

/** Makes room for a request, a tenant's name and a topic's. Returns the request's address, or 0. */
export function columnsInput(requestBytes: u32, nameBytes: u32, topicNameBytes: u32): usize {
  clearFault();
  toKept();
  inputBytes = requestBytes;
  tenantBytes = nameBytes;
  topicBytes = topicNameBytes;
  input = align(top);
  const bytes = <u64>requestBytes + nameBytes + topicNameBytes;
  if (bytes > 0x4000_0000) return fail(capacityFault, input);
  tenant = align(input + requestBytes + inputPadding);
  topic = align(tenant + tenantBytes);
  if (!setTop(align(topic + topicBytes) + slack)) return fail(capacityFault, input);
  memory.fill(input + requestBytes, 0, inputPadding);
  return input;
}

/** Where the topic's name goes. */
export function topicAt(): usize {
  return topic;
}

/** Reads the input and keeps its items. Returns 0, or the fault's code when nothing is kept. */
export function columnsAdd(
  receivedMs: f64,
  pastMaxMs: f64,
  futureMaxMs: f64,
  partition: i32,
  offset: i64,
): i32 {
  startVerdict(input, receivedMs, pastMaxMs, futureMaxMs);
  if (!startRequest(<i64>receivedMs, partition, offset)) fail(capacityFault, input);
  else if (walkItems(input + inputBytes)) {
    keepRequest(tenant, <u32>tenantBytes, topic, <u32>topicBytes);
  }
  if (faultCode != noFault) dropRequest();
  return faultCode;
}

export function columnsRows(): u32 {
  return itemCount;
}

/** Memory above what is the same for all hours. */
let hourTop: usize = 0;

/** Groups the kept items by hour. Returns the number of hours, or -1 after a fault. */
export function hoursPrepare(): i32 {
  clearFault();
  toKept();
  if (!materializeAll() || !groupByHour()) {
    fail(capacityFault, input);
    return -1;
  }
  hourTop = top;
  return sortedCount;
}

/** Writes the columns of an hour over those of the last. Returns the node table's address, or 0. */
export function hourEmit(index: u32): usize {
  clearFault();
  setTop(hourTop);
  const hour = sortedHour(index);
  if (!sortEntries(hour.entries, hour.rows)) return fail(capacityFault, input);
  setTop(hourTop);
  const nodes = writeHour(sumsOf(hour), hour.entries, hour.rows);
  return nodes == 0 ? fail(capacityFault, input) : nodes;
}

export function hourMs(index: u32): f64 {
  return <f64>sortedHour(index).hourMs;
}

export function hourQuarantined(index: u32): bool {
  return sortedHour(index).quarantined != 0;
}

export function hourRows(index: u32): u32 {
  return sortedHour(index).rows;
}

/** Least time of the hour's items, as a signed number of nanoseconds. */
export function hourTimeMin(index: u32): i64 {
  return sumsOf(sortedHour(index)).timeMin;
}

/** Greatest time of the hour's items. */
export function hourTimeMax(index: u32): i64 {
  return sumsOf(sortedHour(index)).timeMax;
}
