/** Takes the log records of a request as the walk comes to them: reads, judges, hands them on. */
import { keepItem } from '../columns/columns';
import { hashSentItem } from './content';
import { firstAttribute, readLog, readLogHead, readRest } from './log';
import { writeLog, writePlainLog } from '../rows/logs';
import { setTop, top } from '../memory/memory';
import { first, second } from '../memory/murmur';
import { nextIndex, resource, scope } from './place';
import { Log } from './record';
import { repeatsBefore } from './repeats';
import { startItem } from '../rows/rows';
import { invalidUtf8 } from '../memory/text';
import {
  attributesMax,
  countAccepted,
  countInvalid,
  countReason,
  describe,
  isTimely,
} from './verdict';

/** Reads a LogRecord message and writes its row. False after a fault. */
export function takeLogRow(p: usize, end: usize): bool {
  if (!startItem(end - p)) return false;
  const records = top;
  const at = readLogHead(p, end);
  if (at == 0) return false;
  const log = changetype<Log>(at);
  log.itemIndex = nextIndex();
  if (takePlain(log, records)) return true;
  if (!readRest(log)) return false;
  if (!acceptLog(log) || log.quarantined) return true;
  return writeLog(log, resource(), scope(), records);
}

/**
 * Writes the row of a record as most are: valid, timely, its attributes plain. False, and nothing is counted,
 * of any other.
 */
// @ts-ignore: decorator
@inline
function takePlain(log: Log, records: usize): bool {
  if (invalidUtf8 != 0 || judge(log) != noReason || !isTimely(log.timeNs)) return false;
  if (!writePlainLog(log, resource(), scope(), records, firstAttribute)) return false;
  countAccepted(log.timeNs);
  return true;
}

/** Reads a LogRecord message and keeps its record for the columns. False after a fault. */
export function takeLogRecord(p: usize, end: usize): bool {
  const records = top;
  const at = readLog(p, end);
  if (at == 0) return false;
  const log = changetype<Log>(at);
  log.itemIndex = nextIndex();
  if (!acceptLog(log)) return setTop(records);
  log.resource = <u32>changetype<usize>(resource());
  log.scope = <u32>changetype<usize>(scope());
  hashSentItem(p, end - p, resource(), scope());
  log.hashHigh = first;
  log.hashLow = second;
  log.repeats = repeatsBefore(log.itemIndex);
  return keepItem(log);
}

/** Reasons, in the order in which a record is judged; the host has their names in this order. */
const traceIdLength: u32 = 0;
const spanIdLength: u32 = 1;
const attributes: u32 = 2;
const noReason: u32 = 3;

/** Counts the log record. False when it is rejected. */
function acceptLog(log: Log): bool {
  const reason = judge(log);
  if (log.invalidUtf8 != 0) countInvalid(log.invalidUtf8);
  if (reason == noReason) {
    if (countAccepted(log.timeNs)) log.quarantined = 1;
    return true;
  }
  if (countReason(reason, log.itemIndex)) {
    if (reason == attributes) describe(log.at, log.attrCount, 0, attributesMax);
    else if (reason == traceIdLength) describe(log.traceId, log.traceIdBytes, 0, 0);
    else describe(log.spanId, log.spanIdBytes, 0, 0);
  }
  return false;
}

/** Both ids are optional; an id of another length than its own is an error. */
function judge(log: Log): u32 {
  if (log.traceIdBytes != 16 && log.traceIdBytes != 0) return traceIdLength;
  if (log.spanIdBytes != 8 && log.spanIdBytes != 0) return spanIdLength;
  return log.attrCount > attributesMax ? attributes : noReason;
}
