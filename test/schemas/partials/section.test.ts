import { describe, expect, it } from 'vitest';
import { joinSections, type Section } from '../../../schemas/partials/section.ts';

function sectionOf(bytes: readonly number[]): Section {
  return { length: bytes.length, write: (to) => to.set(bytes) };
}

describe('joinSections()', () => {
  it('writes each section behind the one before', () => {
    expect([...joinSections([[1, 2], [], [3]].map(sectionOf))]).toEqual([1, 2, 3]);
    expect(joinSections([])).toHaveLength(0);
  });
});
