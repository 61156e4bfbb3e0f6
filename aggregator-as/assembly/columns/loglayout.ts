/** Lays out one hour's columns of log records, in the order of `logColumns` in schemas/archive.ts. */
import { eventNames, severityTexts } from './codes';
import {
  endColumns,
  layCodes,
  layFixed,
  layMaps,
  layNullable,
  layOwners,
  layRaws,
  layService,
  layTexts,
  startColumns,
} from './layout';
import { LogSums } from './logsums';
import { Maps, Texts } from './node';

/** Numbers of the columns that have one fixed-size buffer. */
export const sortKeyColumn: i32 = 0;
export const hashColumn: i32 = 1;
export const occurrenceColumn: i32 = 2;
export const timeColumn: i32 = 3;
export const sentColumn: i32 = 4;
export const observedColumn: i32 = 5;
export const traceIdColumn: i32 = 6;
export const spanIdColumn: i32 = 7;
export const traceFlagsColumn: i32 = 8;
export const flagsColumn: i32 = 9;
export const severityTextColumn: i32 = 10;
export const severityColumn: i32 = 11;
export const bodyKindColumn: i32 = 14;
export const eventColumn: i32 = 15;
export const droppedColumn: i32 = 18;

/** Bits of the rows whose value is not null. */
export let sentValidity: usize = 0;
export let observedValidity: usize = 0;
export let traceIdValidity: usize = 0;
export let spanIdValidity: usize = 0;
export let rawValidity: usize = 0;

export const bodies = changetype<Texts>(memory.data(16, 8));
export const raws = changetype<Texts>(memory.data(16, 8));
export const maps = changetype<Maps>(memory.data(56, 8));

/** Lays out an hour of `rows` records. Returns the node table's address, or 0 without room. */
export function layLogs(sums: LogSums, rows: u32): usize {
  startColumns();
  layFixed(rows, 16);
  layFixed(rows, 16);
  layFixed(rows, 4);
  layFixed(rows, 8);
  sentValidity = layNullable(rows, 8, sums.noTimes);
  observedValidity = layNullable(rows, 8, sums.noObservedTimes);
  traceIdValidity = layNullable(rows, 16, sums.noTraceIds);
  spanIdValidity = layNullable(rows, 8, sums.noSpanIds);
  layFixed(rows, 4);
  layFixed(rows, 4);
  layCodes(rows, severityTexts);
  layFixed(rows, 4);
  layService(rows);
  layTexts(bodies, rows, sums.bodyBytes);
  layFixed(rows, 4);
  layCodes(rows, eventNames);
  layMaps(maps, rows, sums.attrs, sums.keyBytes, sums.valueBytes);
  layFixed(rows, 4);
  rawValidity = layRaws(raws, rows, sums.rawBytes, sums.noRaws);
  layOwners(sums, rows);
  return endColumns();
}
