/** Rows of published tables in the form that ClickHouse reads from JSON. */
import { publishRowsPerInsert } from '../../schemas/limits/batch.ts';
import type { ResultTable, TableRow } from '../work.ts';

/** A table whose rows are all in memory. `sum` is that of `sumColumn` over all of them. */
export function arrayTable(
  name: string,
  rows: readonly TableRow[],
  sumColumn: string,
  sum: number,
): ResultTable {
  return {
    name,
    rowCount: rows.length,
    sumColumn,
    sum,
    *parts() {
      for (let from = 0; from < rows.length; from += publishRowsPerInsert) {
        yield rows.slice(from, from + publishRowsPerInsert);
      }
    },
  };
}

/** JSON has neither NaN nor infinities; ClickHouse reads them from strings. */
export function double(value: number): number | string {
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}
