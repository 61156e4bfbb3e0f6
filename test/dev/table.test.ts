/** Tests of the aligned table. */
import { describe, expect, it } from 'vitest';
import { table } from '../../dev/table.ts';

describe('table()', () => {
  it('aligns columns to their widest cell, numbers to the right', () => {
    const columns = [{ title: 'name' }, { title: 'spans', align: 'right' as const }];
    expect(
      table(columns, [
        ['a', '1'],
        ['longer', '1,234,567'],
      ]),
    ).toBe(`name        spans
------  ---------
a               1
longer  1,234,567
`);
  });

  it('is head and rule alone without rows', () => {
    expect(table([{ title: 'a' }], [], '  ')).toBe('  a\n  -\n');
  });
});
