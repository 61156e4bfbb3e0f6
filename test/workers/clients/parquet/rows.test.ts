/** What columns a file may not have. Values of every column are tested with `rebuild.ts`. */
import { RecordBatch, tableFromArrays } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { RowColumns } from '../../../../workers/clients/parquet/rows.ts';

function columns(): RowColumns {
  const table = tableFromArrays({
    Count: new Int32Array([1, 2, 3]),
    Offset: new BigInt64Array([1n, -2n, 3n]),
  });
  const [batch] = table.batches;
  if (!(batch instanceof RecordBatch)) throw new Error('there is no batch');
  return new RowColumns('some/key', batch);
}

function fault(column: string) {
  const message: unknown = expect.stringMatching(`column ${column} of "some/key"`);
  return { code: 'CORRUPT_ARCHIVE', message };
}

describe('RowColumns', () => {
  it('gives columns of the type that is asked for', () => {
    expect(columns().rows).toBe(3);
    expect(columns().int32('Count').values).toEqual(new Int32Array([1, 2, 3]));
    expect(columns().longs('Offset').values).toEqual(new BigInt64Array([1n, -2n, 3n]));
  });

  it('refuses a column that is missing or of another type, with its name and the file', () => {
    const refused = [
      [() => columns().int32('None'), 'None'],
      [() => columns().uint32('Count'), 'Count'],
      [() => columns().texts('Count'), 'Count'],
      [() => columns().longs('Count'), 'Count'],
      [() => columns().names('Offset'), 'Offset'],
    ] as const;
    for (const [read, column] of refused) {
      expect(read).toThrow(expect.objectContaining(fault(column)));
    }
  });
});
