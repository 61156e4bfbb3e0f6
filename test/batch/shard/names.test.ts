import { expect, it } from 'vitest';
import { Names } from '../../../batch/shard/names.ts';

it('Names.id() gives each distinct string the next number', () => {
  const names = new Names('service', 10);
  expect(['b', '', 'a', 'b', 'é', ''].map((text) => names.id(text))).toEqual([0, 1, 2, 0, 3, 1]);
  expect(names.values()).toEqual(['b', '', 'a', 'é']);
});

it('Names.id() says what there are too many of', () => {
  const names = new Names('operation', 2);
  names.id('a');
  names.id('b');
  expect(names.id('a')).toBe(0);
  expect(() => names.id('c')).toThrow(
    expect.objectContaining({
      code: 'CAPACITY',
      message: 'Cannot number one more operation: 2 are known, the limit of a shard',
    }),
  );
});
