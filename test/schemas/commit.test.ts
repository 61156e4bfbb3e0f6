import { describe, expect, it } from 'vitest';
import { commitKey, commitPrefix, parseCommit, type Commit } from '../../schemas/commit.ts';

const commit: Commit = {
  version: 1,
  topic: 'otlp_spans',
  partition: 'spool',
  firstOffset: '0',
  nextOffset: '2',
  rows: 10,
  rejected: { span_id_zero: 1 },
  files: [
    {
      key: 'k',
      bytes: 100,
      rows: 10,
      hourMs: 0,
      timeMinNs: '1',
      timeMaxNs: '9223372036854775807',
      quarantined: false,
      rowGroups: [{ rows: 10, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
    },
  ],
  watermarkMs: 5,
  ingestedMaxMs: 5,
  spoolKeys: [],
  writer: 'w',
  committedAt: '2026-11-22T00:00:00.000Z',
  codeVersion: '0.1.0',
};

describe('commitKey()', () => {
  it('sorts the newest commit first', () => {
    const keys = [0n, 1n, 9n, 10n, 1_000_000_000_000n].map((at) => commitKey('t', '0', at));
    expect(keys.toSorted()).toEqual(keys.toReversed());
  });

  it('lies under the prefix of its partition and no other', () => {
    expect(commitKey('t', '1', 5n).startsWith(commitPrefix('t', '1'))).toBe(true);
    expect(commitKey('t', '10', 5n).startsWith(commitPrefix('t', '1'))).toBe(false);
  });

  it('has room for the first and the last Kafka offset', () => {
    expect(commitKey('t', '0', 0n)).toBe('_commits/t/0/9223372036854775807.json');
    expect(commitKey('t', '0', 9_223_372_036_854_775_807n)).toBe(
      '_commits/t/0/0000000000000000000.json',
    );
  });
});

describe('parseCommit()', () => {
  it('gives back what was written', () => {
    expect(parseCommit('k', JSON.stringify(commit))).toEqual(commit);
  });

  it.each([
    ['not JSON', '{', undefined],
    ['a later version', JSON.stringify({ ...commit, version: 2 }), 'version'],
    ['an offset that is a number', JSON.stringify({ ...commit, nextOffset: 2 }), 'nextOffset'],
    ['an unknown field', JSON.stringify({ ...commit, more: 1 }), ''],
    [
      'a file without row groups',
      JSON.stringify({ ...commit, files: [{ ...commit.files[0], rowGroups: [] }] }),
      'files.0.rowGroups',
    ],
  ])('refuses %s and names the key and the field', (_case, text, field) => {
    expect(() => parseCommit('some/key', text)).toThrow(
      `Cannot read commit "some/key": ${field === undefined ? 'it is no JSON' : `bad field "${field}"`}`,
    );
  });

  it('refuses every truncation', () => {
    const text = JSON.stringify(commit);
    for (let end = 0; end < text.length; end += 1) {
      expect(() => parseCommit('k', text.slice(0, end))).toThrow('Cannot read commit');
    }
  });
});
