import { describe, expect, it } from 'vitest';
import { insertStatement, speedTables, tablesOf } from '../../schemas/tables.ts';

describe('insertStatement()', () => {
  it.each(Object.entries(speedTables))(
    'insertStatement() names every column of %s, quoted, in the order of the rows',
    (table, columns) => {
      const statement = insertStatement(table as keyof typeof speedTables);
      const names = [...statement.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
      expect(names).toEqual([...columns]);
      expect(statement.startsWith(`INSERT INTO ${table} (`)).toBe(true);
      expect(statement.endsWith(') FORMAT RowBinary')).toBe(true);
    },
  );
});

describe('tablesOf', () => {
  it('gives every table to one signal', () => {
    expect(Object.values(tablesOf).flat().toSorted()).toEqual(Object.keys(speedTables).toSorted());
  });
});
