/**
 * What the columns note of a log record when its request is kept: codes, sizes, where it sorts, and
 * how many records of the same content the request had before it.
 */
import { dictionaryOf, eventNames, severityTexts } from './codes';
import { codeOf } from '../memory/dictionary';
import { allocate } from '../memory/memory';
import { Index } from './order';
import { Log, Resource } from '../otlp/record';
import { addItem, Sums } from './sums';

@unmanaged
export class LogSums extends Sums {
  noTimes: u32;
  noObservedTimes: u32;
  noTraceIds: u32;
  noSpanIds: u32;
  bodyBytes: u32;
}

/** FNV-1a, 64 bits (draft-eastlake-fnv): offset basis and prime. */
const fnvBasis: u64 = 0xcbf2_9ce4_8422_2325;
const fnvPrime: u64 = 0x100_0000_01b3;

function fnv(hash: u64, p: usize, bytes: usize): u64 {
  for (const end = p + bytes; p < end; p++) hash = (hash ^ load<u8>(p)) * fnvPrime;
  return hash;
}

/** Hash of the tenant's name and a zero byte. */
let tenantHash: u64 = 0;
/** The resource of the record before, and the hash of the tenant and its service. */
let lastResource: usize = 0;
let serviceHash: u64 = 0;

/** Addresses of the request's records by content, 0 where there is none. */
let slots: usize = 0;
let slotMask: u32 = 0;

/**
 * Begins with a request of `count` records: takes room, that need not last, at the arena's top.
 * False when there is none.
 */
export function startLogs(tenant: usize, tenantBytes: usize, count: u32): bool {
  tenantHash = fnv(fnvBasis, tenant, tenantBytes) * fnvPrime;
  lastResource = 0;
  let slotCount: u32 = 16;
  while (slotCount < count * 2) slotCount *= 2;
  slots = allocate(<usize>slotCount * 4);
  if (slots == 0) return false;
  slotMask = slotCount - 1;
  memory.fill(slots, 0, <usize>slotCount * 4);
  return true;
}

/** Log records sort by tenant and service, then time, then content. */
export function settleLog(log: Log, sums: LogSums, index: Index): void {
  const texts = dictionaryOf(severityTexts);
  log.severityCode = codeOf(texts, log.severityText, log.severityTextBytes);
  log.eventCode = codeOf(dictionaryOf(eventNames), log.eventName, log.eventNameBytes);
  countContent(log);
  addItem(sums, log);
  addLog(sums, log);
  if (log.resource != lastResource) {
    lastResource = log.resource;
    const resource = changetype<Resource>(lastResource);
    serviceHash = fnv(tenantHash, resource.service, resource.serviceBytes);
  }
  log.serviceHash = serviceHash;
  index.high = serviceHash;
  index.low = contentTime(log);
  index.third = bswap(log.hashHigh);
}

/** The record's own time: 0 when it has none, whenever it was received. */
// @ts-ignore: decorator
@inline
export function contentTime(log: Log): u64 {
  return log.sentNs != 0 ? log.sentNs : log.observedNs;
}

/**
 * Sets `occurrence` to the number of records before that have the same hash; those of earlier pieces of the
 * request are in `repeats` of the first.
 */
function countContent(log: Log): void {
  let slot = <u32>log.hashLow & slotMask;
  for (;;) {
    const place = slots + (<usize>slot << 2);
    const found = load<u32>(place);
    if (found == 0) {
      store<u32>(place, <u32>changetype<usize>(log));
      log.occurrence = log.repeats;
      return;
    }
    const other = changetype<Log>(found);
    if (other.hashHigh == log.hashHigh && other.hashLow == log.hashLow) {
      log.occurrence = ++other.repeats;
      return;
    }
    slot = (slot + 1) & slotMask;
  }
}

function addLog(sums: LogSums, log: Log): void {
  if (log.sentNs == 0) sums.noTimes++;
  if (log.observedNs == 0) sums.noObservedTimes++;
  if (!log.hasTraceId) sums.noTraceIds++;
  if (!log.hasSpanId) sums.noSpanIds++;
  sums.bodyBytes += log.bodyBytes;
}
