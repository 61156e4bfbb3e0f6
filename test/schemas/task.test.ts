import { describe, expect, it } from 'vitest';
import { idEnd, partialKey, type Shard } from '../../schemas/shard.ts';
import {
  failureKey,
  idText,
  parseAttempt,
  parseFailure,
  parseId,
  parseSplit,
  parseStoredShard,
  parseTask,
  partialOfStart,
  splitKey,
  splitText,
  startKey,
  startPrefix,
  storedShardKey,
  storedShardText,
  taskPrefix,
  type ShardTask,
} from '../../schemas/task.ts';

const shard: Shard = {
  index: 7,
  idFrom: 3n,
  idTo: idEnd,
  estimatedRows: 12,
  files: [{ key: 'signal=traces/a.parquet', bytes: 10, hourMs: 3_600_000, rowGroups: [0, 2] }],
};
const task: ShardTask = {
  version: 1,
  codeVersion: '0.1.0-abc',
  computation: '2026-11-21-abc',
  attempt: 'a1',
  tryNumber: 2,
  shardKey: '_tasks/2026-11-21-abc/x.json.gz',
  idFrom: idText(3n),
  idTo: idText(idEnd),
  publishedAt: '2026-11-22T04:00:00.000Z',
};

function reasonOf(value: unknown): string {
  const bytes = typeof value === 'string' ? value : JSON.stringify(value);
  const parsed = parseTask(Buffer.from(bytes));
  return parsed.type === 'poison' ? parsed.reason : 'a task';
}

describe('parseTask()', () => {
  it('reads what was written, the end of the ids included', () => {
    const parsed = parseTask(Buffer.from(JSON.stringify(task)));
    expect(parsed).toEqual({ type: 'task', task });
    expect(parseId(task.idTo)).toBe(2n ** 128n);
  });

  it('says what is wrong with anything else', () => {
    expect(parseTask(null)).toEqual({ type: 'poison', reason: 'it has no value' });
    expect(reasonOf('')).toBe('it is not JSON');
    expect(reasonOf('{"version":1')).toBe('it is not JSON');
    expect(reasonOf('\0\x01\x02')).toBe('it is not JSON');
    expect(reasonOf([])).toBe('bad field ""');
    expect(reasonOf({ ...task, version: 2 })).toBe('its version is 2, known is 1');
    expect(reasonOf({ ...task, version: 'x' })).toBe('its version is "x", known is 1');
    expect(reasonOf({ ...task, tryNumber: 0 })).toBe('bad field "tryNumber"');
    expect(reasonOf({ ...task, idTo: 'ff' })).toBe('bad field "idTo"');
    expect(reasonOf({ ...task, more: 1 })).toBe('bad field ""');
    const { attempt: _, ...lacking } = task;
    expect(reasonOf(lacking)).toBe('bad field "attempt"');
  });
});

describe('keys of a shard', () => {
  it('lie beside its partial, and tell tries and starts apart', () => {
    const partial = partialKey(task.computation, shard);
    const stem = partial.replace(/bin$/, '');
    const start = startKey(shard, task, 'x');
    const keys = [splitKey(task.computation, shard), failureKey(shard, task), start];
    for (const key of keys) expect(key.startsWith(stem)).toBe(true);
    expect(start.startsWith(startPrefix(shard, task))).toBe(true);
    expect(start.startsWith(startPrefix(shard, { ...task, tryNumber: 20 }))).toBe(false);
    expect(failureKey(shard, { ...task, tryNumber: 3 })).not.toBe(failureKey(shard, task));
    expect(partialOfStart(start)).toBe(partial);
    for (const key of [partial, ...keys.slice(0, 2)]) expect(partialOfStart(key)).toBeUndefined();
    expect(storedShardKey(task.computation, shard)).toMatch(
      /^_tasks\/2026-11-21-abc\/00007-[0-9a-f]{16}\.json\.gz$/,
    );
    expect(taskPrefix(task.computation)).toBe('_tasks/2026-11-21-abc/');
  });
});

describe('what lies in the store', () => {
  it('is read as it was written', () => {
    const stored = {
      computation: task.computation,
      signal: 'metrics' as const,
      period: '2026-11-21T13',
      merge: { seriesMax: 5, kind: 'hour' },
      shard,
    };
    expect(parseStoredShard('k', storedShardText(stored))).toEqual(stored);
    const parts = [
      { ...shard, idTo: 9n, estimatedRows: 6 },
      { ...shard, idFrom: 9n, estimatedRows: 7 },
    ];
    expect(parseSplit('k', splitText(parts), shard)).toEqual(parts);
  });

  it('is refused when it is damaged, and named', () => {
    const damaged = { code: 'CORRUPT_ARCHIVE', message: 'Cannot read "k": bad field ""' };
    expect(() => parseStoredShard('k', '{')).toThrow(expect.objectContaining(damaged));
    expect(() => parseFailure('k', '')).toThrow(expect.objectContaining(damaged));
    expect(() => parseAttempt('k', '7')).toThrow(expect.objectContaining(damaged));
    expect(() => parseSplit('k', '{"version":1,"parts":[]}', shard)).toThrow('bad field "parts"');
  });
});
