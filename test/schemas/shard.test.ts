import { expect, it } from 'vitest';
import { partialKey, partialPrefix, idEnd, type Shard } from '../../schemas/shard.ts';

const shard: Shard = {
  index: 7,
  idFrom: 0n,
  idTo: idEnd,
  files: [{ key: 'a', bytes: 9, hourMs: 0, rowGroups: [0, 2] }],
  estimatedRows: 5,
};

it('partialKey() lies under its computation and sorts by index', () => {
  expect(partialKey('2026-11-21-abc', shard)).toMatch(
    /^_partials\/2026-11-21-abc\/00007-[0-9a-f]{16}\.bin$/,
  );
  expect(partialKey('c', shard).startsWith(partialPrefix('c'))).toBe(true);
});

it('partialKey() differs exactly when the range or the row groups do', () => {
  const key = partialKey('c', shard);
  expect(partialKey('c', { ...shard, estimatedRows: 99 })).toBe(key);
  const [file] = shard.files;
  const others: Shard[] = [
    { ...shard, idFrom: 1n },
    { ...shard, idTo: idEnd - 1n },
    { ...shard, files: [{ key: 'b', bytes: 9, hourMs: 0, rowGroups: [0, 2] }] },
    { ...shard, files: [{ key: 'a', bytes: 9, hourMs: 0, rowGroups: [0] }] },
    { ...shard, files: file ? [file, file] : [] },
  ];
  expect(new Set([key, ...others.map((other) => partialKey('c', other))]).size).toBe(6);
});
