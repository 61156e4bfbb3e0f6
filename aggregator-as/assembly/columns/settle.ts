/**
 * By signal: what the columns note of an item when its request is kept. A signal has a class of
 * sums that begins with `Sums`, and a function that adds an item to them, gives its texts their
 * codes and says where it sorts: by three big-endian numbers, the first two of which are the
 * first column's 16 bytes; items of equal numbers stay in the order of their arrival.
 */
import { LogSums, settleLog, startLogs } from './logsums';
import { Point } from '../otlp/measure';
import { Index } from './order';
import { PointSums, settlePoint } from './pointsums';
import { Item, Log, sizeOf, Span } from '../otlp/record';
import { logsSignal, metricsSignal, signal, tracesSignal } from '../otlp/signal';
import { settleSpan, SpanSums } from './spansums';
import { Sums } from './sums';

/** Bytes of the signal's sums. */
export function sumsBytes(): usize {
  if (signal == logsSignal) return sizeOf<LogSums>();
  return signal == metricsSignal ? sizeOf<PointSums>() : sizeOf<SpanSums>();
}

/** Begins with a request of `count` items of this tenant. False when there is no room. */
export function startSettling(tenant: usize, tenantBytes: usize, count: u32): bool {
  return signal == logsSignal ? startLogs(tenant, tenantBytes, count) : true;
}

/** Notes an item whose owners have their codes already. There must be room in the dictionaries. */
// @ts-ignore: decorator
@inline
export function settle(item: Item, sums: Sums, index: Index): void {
  if (signal == tracesSignal) {
    settleSpan(changetype<Span>(item), changetype<SpanSums>(sums), index);
  } else if (signal == logsSignal) {
    settleLog(changetype<Log>(item), changetype<LogSums>(sums), index);
  } else {
    settlePoint(changetype<Point>(item), changetype<PointSums>(sums), index);
  }
}
