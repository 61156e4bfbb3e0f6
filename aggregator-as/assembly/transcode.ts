/**
 * The transcoder's entry: what the host calls. Numbers in, addresses and codes out; the host copies
 * the input to the address that it was given, and reads results from the memory.
 */
import { putVarint } from './bytes';
import {
  dropRequest,
  keepRequest,
  materializeAll,
  resetColumns,
  spanCount,
  startRequest,
  toKept,
} from './columns';
import { emitRows } from './emit';
import { capacityFault, clearFault, fail, faultAt, faultCode, faultDetail, noFault } from './fault';
import { sumsOf } from './hour';
import { layOut } from './layout';
import { startMetricRows, tableOf } from './metricrows';
import { writeMetrics } from './metricwalk';
import { align, arenaBase, bound, setTop, slack, top } from './memory';
import { groupByHour, sortedCount, sortedHour } from './order';
import { rowCount, rowsEnd, rowsStart, startRows } from './rows';
import { sortEntries } from './spansort';
import { startVerdict, verdictSpace } from './verdict';
import { walkRequest } from './walk';
import { inputPadding } from './wire';

let input: usize = 0;
let inputBytes: usize = 0;
let tenant: usize = 0;
let tenantBytes: usize = 0;

/** Sets the bound on memory. To be called once, first. */
export function configure(pagesMax: u32): void {
  bound(pagesMax);
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

/** Where the tenant's name goes. */
export function tenantAt(): usize {
  return tenant;
}

/** Transcodes the input. Returns 0, or the fault's code. */
export function rowsRun(receivedMs: f64, pastMaxMs: f64, futureMaxMs: f64): i32 {
  startVerdict(input, <i64>(receivedMs - pastMaxMs), <i64>(receivedMs + futureMaxMs));
  const tail = align(tenant + tenantBytes);
  startRows(tail, writeTail(tail, <i64>receivedMs));
  if (!walkRequest(input, input + inputBytes, true)) return faultCode;
  return noFault;
}

/** Writes TenantId and IngestedAt, which end every row. Returns their size. */
function writeTail(tail: usize, receivedMs: i64): usize {
  const name = putVarint(tail, <u32>tenantBytes);
  memory.copy(name, tenant, tenantBytes);
  store<i64>(name + tenantBytes, receivedMs);
  return name + tenantBytes + 8 - tail;
}

export function rowsAt(): usize {
  return rowsStart;
}

export function rowsBytes(): usize {
  return rowsEnd - rowsStart;
}

export function rowsCount(): u32 {
  return rowCount;
}

/** As `rowsRun`, of a metrics request: its rows go to five tables. */
export function metricRowsRun(receivedMs: f64, pastMaxMs: f64, futureMaxMs: f64): i32 {
  startVerdict(input, <i64>(receivedMs - pastMaxMs), <i64>(receivedMs + futureMaxMs));
  const tail = align(tenant + tenantBytes);
  startMetricRows(tail, writeTail(tail, <i64>receivedMs));
  if (!writeMetrics(input, input + inputBytes)) return faultCode;
  return noFault;
}

/** Address of the rows of a metrics table; `kind` counts as `tablesOf.metrics` does. */
export function metricRowsAt(kind: u32): usize {
  return tableOf(kind).at;
}

export function metricRowsBytes(kind: u32): usize {
  return tableOf(kind).bytes;
}

export function metricRowsCount(kind: u32): u32 {
  return tableOf(kind).rows;
}

let topic: usize = 0;
let topicBytes: usize = 0;

/** Forgets all kept requests. Comes before the first, too. Returns 0 or a fault's code. */
export function columnsReset(): i32 {
  clearFault();
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

/** Reads the input and keeps its spans. Returns 0, or the fault's code when nothing is kept. */
export function columnsAdd(
  receivedMs: f64,
  pastMaxMs: f64,
  futureMaxMs: f64,
  partition: i32,
  offset: i64,
): i32 {
  startVerdict(input, <i64>(receivedMs - pastMaxMs), <i64>(receivedMs + futureMaxMs));
  if (!startRequest(<i64>receivedMs, partition, offset)) fail(capacityFault, input);
  else if (walkRequest(input, input + inputBytes, false)) {
    keepRequest(tenant, <u32>tenantBytes, topic, <u32>topicBytes);
  }
  if (faultCode != noFault) dropRequest();
  return faultCode;
}

export function columnsRows(): u32 {
  return spanCount;
}

/** Memory above what is the same for all hours. */
let hourTop: usize = 0;

/** Groups the kept spans by hour. Returns the number of hours, or -1 after a fault. */
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
  const nodes = layOut(sumsOf(hour), hour.rows);
  if (nodes == 0) return fail(capacityFault, input);
  emitRows(hour.entries, hour.rows);
  return nodes;
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

/** Least start time of the hour, as a signed number of nanoseconds. */
export function hourTimeMin(index: u32): i64 {
  return sumsOf(sortedHour(index)).timeMin;
}

/** Greatest start time of the hour. */
export function hourTimeMax(index: u32): i64 {
  return sumsOf(sortedHour(index)).timeMax;
}
