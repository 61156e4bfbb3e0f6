/** Tests of the document that is made from the table of settings. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { configuration } from '../../dev/configuration.ts';
import { settings } from '../../schemas/settings.ts';

describe('configuration()', () => {
  it('equals the committed document; run `npm run docs` when it does not', () => {
    const file = path.join(import.meta.dirname, '../../docs/CONFIGURATION.md');
    expect(readFileSync(file, 'utf8')).toBe(configuration());
  });

  it('has one row for every setting and is no wider than its five columns', () => {
    const rows = configuration()
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    expect(rows).toHaveLength(Object.keys(settings).length);
    expect(rows.filter((line) => line.split(' | ').length !== 5)).toEqual([]);
  });
});
