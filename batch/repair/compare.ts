/**
 * The queries of repair: which items of a slice the speed tables lack, and which of their rows are there
 * beyond what there should be. Only text: it runs none.
 */
import { createHash } from 'node:crypto';
import { during, type EventWindow } from '../drift.ts';
import { filesSource, inSlice, type SourceSettings } from '../verify/source.ts';
import type { SignalRepair } from './signals.ts';

/** What is compared: a day's files and rows, all of them or a tenant's. */
export interface Compared {
  readonly settings: SourceSettings;
  readonly repair: SignalRepair;
  readonly window: EventWindow;
  /** Keys of the archive's files. */
  readonly keys: readonly string[];
  /** Binds `{tenant:String}` where it is true. */
  readonly isOneTenant: boolean;
}

/** One of `count` parts of the items. */
export interface Part {
  readonly index: number;
  readonly count: number;
}

/** The number that stands for a file in `place`: ClickHouse's halfMD5 of its key. */
export function fileNumber(key: string): string {
  return String(createHash('md5').update(key).digest().readBigUInt64BE(0));
}

/** The same in SQL. What stands before the key in a path differs from store to store. */
const fileNumberSql = "halfMD5(substring(_path, position(_path, 'signal=')))";

/** One row: `missing`, `surplus`, `archived`, `stored`. Surplus rows go before missing items come. */
export function countSql(compared: Compared, part: Part): string {
  return `
SELECT sum(greatest(in_batch - (in_speed - beyond), 0)) AS missing, sum(beyond) AS surplus,
  sum(in_batch) AS archived, sum(in_speed) AS stored
FROM
(
  SELECT item, sum(fine_batch) AS in_batch, sum(fine_speed) AS in_speed, sum(fine_beyond) AS beyond
  FROM
  (
    SELECT item, fine,
      toInt64(countIf(kept)) AS fine_batch,
      toInt64(countIf(NOT kept)) AS fine_speed,
      ${beyondSql(compared, 'fine_batch', 'fine_speed')} AS fine_beyond
    FROM (${bothSql(compared, part)})
    GROUP BY item, fine
  )
  GROUP BY item
)`;
}

/**
 * The places of missing items: `file`, `id`, `partition`, `offset`, `item_index`. Of items with one identity
 * those come first of which no row says the same in every column.
 */
export function missingSql(compared: Compared, part: Part): string {
  return `
SELECT chosen.3.1 AS file, chosen.3.2 AS id, chosen.3.3 AS partition, chosen.3.4 AS offset,
  chosen.3.5 AS item_index
FROM
(
  SELECT
    groupArrayIf((fine, 0, place), kept) AS archived,
    groupArrayIf(fine, NOT kept) AS stored,
    arrayMap(one -> (has(stored, one.1), one.1, one.3), archived) AS known
  FROM (${bothSql(compared, part)})
  GROUP BY item
  HAVING length(archived) > length(stored)
)
ARRAY JOIN arraySlice(arraySort(known), 1, length(archived) - length(stored)) AS chosen`;
}

/** Surplus rows, at most `rowsMax`: `table_index`, `part`, `offset`, as they lie at this moment. */
export function surplusSql(compared: Compared, part: Part, rowsMax: number): string {
  const { keepsLast } = compared.repair;
  const sorted = keepsLast ? 'arrayReverseSort(stored)' : 'arraySort(stored)';
  return `
SELECT surplus.2 AS table_index, surplus.3 AS part, toString(surplus.4) AS offset
FROM
(
  SELECT
    groupArrayIf((received, table_index, part, part_offset), NOT kept) AS stored,
    toInt64(countIf(kept)) AS in_batch,
    ${beyondSql(compared, 'in_batch', 'toInt64(length(stored))')} AS beyond
  FROM (${bothSql(compared, part)})
  GROUP BY item, fine
  HAVING beyond > 0
)
ARRAY JOIN arraySlice(${sorted}, -beyond) AS surplus
LIMIT ${rowsMax}`;
}

/** How many rows are too many. What the archive does not have may be several items that look the same. */
function beyondSql({ repair }: Compared, inBatch: string, inSpeed: string): string {
  const beyond = `greatest(${inSpeed} - greatest(${inBatch}, 1), 0)`;
  return repair.drift.repeats ? `if(${inBatch} > 0, ${beyond}, 0)` : beyond;
}

/** Items of the archive (`kept`) and rows of the speed tables, in the same columns. */
function bothSql(compared: Compared, { index, count }: Part): string {
  const { repair, settings, keys, window, isOneTenant } = compared;
  const { drift } = repair;
  const slice = { by: drift.archiveBy, index, count };
  const structure = repair.structure.join(', ').replaceAll("'", "\\'");
  const files =
    keys.length === 0
      ? `(SELECT *, '' AS _path FROM null('${structure}'))`
      : filesSource(settings, keys, repair.structure, slice, ['_path']);
  const source = `(
      SELECT *,
        (${fileNumberSql}, lower(hex(${repair.sortId})), Partition, Offset, ItemIndex) AS place
      FROM ${files} ${isOneTenant ? 'WHERE TenantId = {tenant:String}' : ''})`;
  const archived = `
    SELECT item, fine, true AS kept, place,
      toDateTime64(0, 3, 'UTC') AS received, 0 AS table_index, '' AS part, toUInt64(0) AS part_offset
    FROM (${repair.archive(source, window)})`;
  const stored = drift.speedTables.map((table, tableIndex) => {
    const { item, fine } = repair.speed(table);
    const conditions = [
      during(drift, window),
      inSlice({ by: drift.speedBy, index, count }),
      ...(isOneTenant ? ['TenantId = {tenant:String}'] : []),
    ];
    return `
    SELECT ${item} AS item, ${fine} AS fine, false AS kept,
      (toUInt64(0), '', toInt32(0), toInt64(0), toUInt32(0)) AS place,
      toDateTime64(IngestedAt, 3, 'UTC') AS received, ${tableIndex} AS table_index,
      toString(_part) AS part, toUInt64(_part_offset) AS part_offset
    FROM ${table} WHERE ${conditions.join(' AND ')}`;
  });
  return [archived, ...stored].join('\n    UNION ALL');
}
