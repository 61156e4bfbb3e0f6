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

  it('cuts what is long, and lets nothing through that moves a cursor', () => {
    const columns = [{ title: 'service' }, { title: 'spans', align: 'right' as const }];
    const rows = [
      ['x'.repeat(161), '1'],
      ['new\nline \u001b[2J', '2'],
    ];
    const [, , long, moved] = table(columns, rows).split('\n');
    expect(long).toBe(`${'x'.repeat(159)}…      1`);
    expect(moved).toBe(`${'new\ufffdline \ufffd[2J'.padEnd(160)}      2`);
  });

  it('is head and rule alone without rows', () => {
    expect(table([{ title: 'a' }], [], '  ')).toBe('  a\n  -\n');
  });
});
