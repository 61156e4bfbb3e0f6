/** Writes an hour's log records into the columns that `layLogs` laid out. */
import { blockRows, fetchBlock, itemAt } from './block';
import { dataOf } from './layout';
import * as at from './loglayout';
import { contentTime } from './logsums';
import { appendMap, appendRaw, appendText, setBit } from './node';
import { emitOwners } from './owneremit';
import { Log, sizeOf } from '../otlp/record';

/** Writes all rows. */
export function emitLogs(first: usize, rows: u32): void {
  for (let from: u32 = 0; from < rows; from += blockRows) {
    const to = min(from + blockRows, rows);
    fetchBlock(first, from, to, sizeOf<Log>());
    emitIds(from, to);
    emitTimes(from, to);
    emitNumbers(from, to);
    emitTexts(from, to);
    emitOwners(from, to);
  }
}

// @ts-ignore: decorator
@inline
function logAt(row: u32): Log {
  return changetype<Log>(itemAt(row));
}

function emitIds(from: u32, to: u32): void {
  const keys = dataOf(at.sortKeyColumn);
  const hashes = dataOf(at.hashColumn);
  const traceIds = dataOf(at.traceIdColumn);
  const spanIds = dataOf(at.spanIdColumn);
  for (let row = from; row < to; row++) {
    const log = logAt(row);
    const sixteenth = <usize>row << 4;
    store<u64>(keys + sixteenth, bswap(log.serviceHash));
    store<u64>(keys + sixteenth, bswap(contentTime(log)), 8);
    store<u64>(hashes + sixteenth, log.hashHigh);
    store<u64>(hashes + sixteenth, log.hashLow, 8);
    if (log.hasTraceId) {
      v128.store(traceIds + sixteenth, v128.load(log.traceId));
      setBit(at.traceIdValidity, row);
    }
    if (log.hasSpanId) {
      store<u64>(spanIds + (<usize>row << 3), load<u64>(log.spanId));
      setBit(at.spanIdValidity, row);
    }
  }
}

function emitTimes(from: u32, to: u32): void {
  const times = dataOf(at.timeColumn);
  const sent = dataOf(at.sentColumn);
  const observed = dataOf(at.observedColumn);
  for (let row = from; row < to; row++) {
    const log = logAt(row);
    const eighth = <usize>row << 3;
    store<u64>(times + eighth, log.timeNs);
    store<u64>(sent + eighth, log.sentNs);
    store<u64>(observed + eighth, log.observedNs);
    if (log.sentNs != 0) setBit(at.sentValidity, row);
    if (log.observedNs != 0) setBit(at.observedValidity, row);
  }
}

function emitNumbers(from: u32, to: u32): void {
  const occurrences = dataOf(at.occurrenceColumn);
  const traceFlags = dataOf(at.traceFlagsColumn);
  const flags = dataOf(at.flagsColumn);
  const severityTexts = dataOf(at.severityTextColumn);
  const severities = dataOf(at.severityColumn);
  const bodyKinds = dataOf(at.bodyKindColumn);
  const events = dataOf(at.eventColumn);
  const dropped = dataOf(at.droppedColumn);
  for (let row = from; row < to; row++) {
    const log = logAt(row);
    const fourth = <usize>row << 2;
    store<u32>(occurrences + fourth, log.occurrence);
    store<u32>(traceFlags + fourth, log.flags & 0xff);
    store<u32>(flags + fourth, log.flags);
    store<i32>(severityTexts + fourth, log.severityCode);
    store<i32>(severities + fourth, log.severity);
    store<u32>(bodyKinds + fourth, log.bodyKind);
    store<i32>(events + fourth, log.eventCode);
    store<u32>(dropped + fourth, log.dropped);
  }
}

function emitTexts(from: u32, to: u32): void {
  for (let row = from; row < to; row++) {
    const log = logAt(row);
    appendText(at.bodies, log.body, log.bodyBytes);
    appendMap(at.maps, log.attrs, log.attrCount);
    appendRaw(at.raws, at.rawValidity, row, log.raw, log.rawBytes);
  }
}
