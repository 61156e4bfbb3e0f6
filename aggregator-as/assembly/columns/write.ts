/** By signal: lays out an hour's columns, and writes its rows into them. */
import { emitLogs } from './logemit';
import { layLogs } from './loglayout';
import { LogSums } from './logsums';
import { emitPoints } from './pointemit';
import { layPoints } from './pointlayout';
import { PointSums } from './pointsums';
import { logsSignal, metricsSignal, signal } from '../otlp/signal';
import { Sums } from './sums';
import { emitSpans } from './spanemit';
import { laySpans } from './spanlayout';
import { SpanSums } from './spansums';

/**
 * Writes the columns of an hour whose entries, sorted, begin at `first`. Returns the node table's
 * address, or 0 without room.
 */
export function writeHour(sums: Sums, first: usize, rows: u32): usize {
  // An item's own sizes are those of bytes in memory; only what is repeated can pass 2^31.
  if (sums.repeated > 0x7fff_ffff) return 0;
  if (signal == logsSignal) return writeLogs(sums, first, rows);
  return signal == metricsSignal ? writePoints(sums, first, rows) : writeSpans(sums, first, rows);
}

function writeSpans(sums: Sums, first: usize, rows: u32): usize {
  const nodes = laySpans(changetype<SpanSums>(sums), rows);
  if (nodes != 0) emitSpans(first, rows);
  return nodes;
}

function writeLogs(sums: Sums, first: usize, rows: u32): usize {
  const nodes = layLogs(changetype<LogSums>(sums), rows);
  if (nodes != 0) emitLogs(first, rows);
  return nodes;
}

function writePoints(sums: Sums, first: usize, rows: u32): usize {
  const nodes = layPoints(changetype<PointSums>(sums), rows);
  if (nodes != 0) emitPoints(first, rows);
  return nodes;
}
