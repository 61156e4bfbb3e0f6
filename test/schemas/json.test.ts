import { expect, it } from 'vitest';
import { jsonOrUndefined } from '../../schemas/json.ts';

it.each([
  ['{"a":[1]}', { a: [1] }],
  ['null', null],
  ['{"a":1', undefined],
  ['', undefined],
  ['NaN', undefined],
])('jsonOrUndefined() takes %j', (text, value) => {
  expect(jsonOrUndefined(text)).toEqual(value);
});
