/** Reads RowBinary rows of the tables of logs and metrics through the in-process ClickHouse engine. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { query } from 'chdb';
import { speedTables } from '../../schemas/tables.ts';
import type { SpeedTable } from '../../schemas/tables.ts';

const migrations = path.join(import.meta.dirname, '../../schemas/clickhouse');

/** Column to type, nested columns by their full names, as the table's migration has them. */
function typesOf(table: SpeedTable): Map<string, string> {
  const file = readdirSync(migrations).find((name) => name.endsWith(`_${table}.sql`));
  const text = readFileSync(path.join(migrations, file ?? ''), 'utf8');
  const types = new Map<string, string>();
  for (const [, name, type] of text.matchAll(/^    `(\w+)` (.+?)(?: DEFAULT| CODEC|,$)/gm)) {
    if (name && type) types.set(name, type);
  }
  for (const [, name, fields] of text.matchAll(/^    `(\w+)` Nested\n    \(\n([^;]*?)\n    \)/gm)) {
    for (const field of (fields ?? '').split(/,\n/)) {
      const [, own, type] = /^ *(\w+) (.+)$/.exec(field) ?? [];
      if (own && type) types.set(`${name}.${own}`, `Array(${type})`);
    }
  }
  return types;
}

/** Numbers as texts that lose nothing: doubles as their bits, times as nanoseconds. */
function shownAs(expression: string, type: string): string {
  const [, item] = /^Array\((.*)\)$/.exec(type) ?? [];
  if (item) return `arrayMap(x -> ${shownAs('x', item)}, ${expression})`;
  if (type.startsWith('Map')) return `arrayZip(mapKeys(${expression}), mapValues(${expression}))`;
  if (type === 'DateTime64(9)') return `toString(toUnixTimestamp64Nano(${expression}))`;
  if (type === 'DateTime64(3)') return `toString(toUnixTimestamp64Milli(${expression}))`;
  if (type === 'Float64') return `toString(reinterpretAsUInt64(${expression}))`;
  return `toString(${expression})`;
}

/**
 * Inserts the file's rows into a table with the columns of the migration, and returns their cells
 * in the order of `speedTables`, as `shown` gives them.
 */
export function loadTableRows(table: SpeedTable, file: string): unknown[][] {
  const types = typesOf(table);
  const columns = [...types].map(([name, type]) => `\`${name}\` ${type}`);
  const names = speedTables[table].map((name) => `\`${name}\``);
  const selected = speedTables[table].map((name) =>
    shownAs(`\`${name}\``, types.get(name) ?? 'missing'),
  );
  const text = query(
    `CREATE TABLE ${table} (${columns.join(', ')}) ENGINE = Memory;
    INSERT INTO ${table} (${names.join(', ')}) FROM INFILE '${file}' FORMAT RowBinary;
    SELECT ${selected.join(', ')} FROM ${table}`,
    'JSONCompactEachRow',
  );
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown[]);
}
