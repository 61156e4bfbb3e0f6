import { describe, expect, it } from 'vitest';
import { fileKey, parseFileKey } from '../../schemas/archive.ts';
import {
  outputKey,
  parseOutputKey,
  parseReplacement,
  parseReplacementKey,
  replacementKey,
  replacementPrefix,
  type Replacement,
} from '../../schemas/replacement.ts';

const hour = 3_600_000;
const hourMs = Date.UTC(2026, 10, 22, 13);
const folder = 'signal=traces/year=2026/month=11/day=22/hour=13/';
const key = `_replacements/${folder}0000000007.json`;

function committed(offset: number, rows = 10) {
  const name = `otlp_spans+3+${String(offset).padStart(19, '0')}+a1.parquet`;
  return { key: `${folder}${name}`, rows, bytes: 100 };
}

const output: Replacement['outputs'][number] = {
  key: `${folder}replacement+0000000007+b2-0.parquet`,
  bytes: 150,
  rows: 20,
  hourMs,
  timeMinNs: '1',
  timeMaxNs: '2',
  quarantined: false,
  rowGroups: [{ rows: 20, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  tenants: ['acme', 'default'],
};

const compaction: Replacement = {
  version: 1,
  signal: 'traces',
  hourMs,
  sequence: 7,
  reason: 'compaction',
  inputs: [committed(0), committed(10)],
  outputs: [output],
  writer: 'w',
  replacedAt: '2026-11-22T15:00:00.000Z',
  codeVersion: '0.1.0',
};

describe('replacementKey()', () => {
  it('lies under its hour and sorts by number', () => {
    expect(replacementKey('traces', hourMs, 7)).toBe(key);
    const keys = [1, 2, 9, 10, 11, 1_000_000].map((at) => replacementKey('logs', hourMs, at));
    expect(keys.toSorted()).toEqual(keys);
    expect(keys.every((own) => own.startsWith(replacementPrefix('logs', hourMs)))).toBe(true);
  });

  it('sorts hours by time, whatever their numbers', () => {
    const keys = [0, 1, 11, 24, 24 * 40, 24 * 400].map((hours, index) =>
      replacementKey('traces', hourMs + hours * hour, 9 - index),
    );
    expect(keys.toSorted()).toEqual(keys);
  });
});

describe('parseReplacementKey()', () => {
  it('gives the number, and undefined for what is none of ours', () => {
    expect(parseReplacementKey(key)).toBe(7);
    const others = [`${folder}0000000007.json`, key.replace('7', 'x'), `${key}.tmp`, 'a/b'];
    expect(others.map(parseReplacementKey)).toEqual(others.map(() => undefined));
  });
});

describe('outputKey()', () => {
  it('is told apart from a file of a commit, by both parsers', () => {
    const own = outputKey('traces', hourMs, { sequence: 7, attempt: 'b2-0' });
    expect(own).toBe(output.key);
    expect(parseOutputKey(own)).toEqual({ sequence: 7, attempt: 'b2-0' });
    expect(parseFileKey(own)).toBeUndefined();
    const parts = { topic: 'replacement', partition: '3', firstOffset: 7n, attempt: 'b2' };
    const file = fileKey('traces', hourMs, parts);
    expect(parseOutputKey(file)).toBeUndefined();
    expect(parseFileKey(file)).toEqual(parts);
  });
});

function parse(fields: Partial<Replacement>): Replacement {
  return parseReplacement(key, JSON.stringify({ ...compaction, ...fields }));
}

describe('parseReplacement()', () => {
  it('gives back what was written, of every reason', () => {
    expect(parse({})).toEqual(compaction);
    const retention = { ...compaction, reason: 'retention' as const };
    const shorter = { ...output, rows: 4, rowGroups: [{ ...output.rowGroups[0], rows: 4 }] };
    for (const written of [
      { ...retention, outputs: [] },
      { ...retention, outputs: [shorter] },
      { ...compaction, reason: 'void' as const, inputs: [], outputs: [] },
    ]) {
      expect(parseReplacement(key, JSON.stringify(written))).toEqual(written);
    }
  });

  it('takes an output of an earlier replacement as an input', () => {
    const earlier = { ...committed(0), key: `${folder}replacement+0000000006+c3-0.parquet` };
    expect(parse({ inputs: [earlier, committed(10)] }).inputs[0]?.key).toBe(earlier.key);
  });

  it.each([
    ['a later version', { version: 2 as 1 }],
    ['an unknown field', { more: 1 } as Partial<Replacement>],
    ['another signal', { signal: 'logs' as const }],
    ['another hour', { hourMs: hourMs + hour }],
    ['another number', { sequence: 8 }],
    ['an input of another hour', { inputs: [{ ...committed(0, 20), key: 'signal=traces/x' }] }],
    ['an output named twice', { outputs: [output, output], inputs: [committed(0, 40)] }],
    ['an input that is an output', { inputs: [{ key: output.key, rows: 20, bytes: 1 }] }],
    [
      'an output of another replacement',
      { outputs: [{ ...output, key: output.key.replace('7', '6') }] },
    ],
    ['fewer rows after compaction', { inputs: [committed(0, 21)] }],
    ['more rows after compaction', { inputs: [committed(0, 19)] }],
    ['compaction of nothing', { inputs: [], outputs: [] }],
    ['retention that takes nothing', { reason: 'retention' as const }],
    ['a void one that names files', { reason: 'void' as const }],
  ])('throws CORRUPT_ARCHIVE, naming the key, for %s', (_, fields) => {
    const expected = { code: 'CORRUPT_ARCHIVE', retryable: false };
    expect(() => parse(fields)).toThrow(expect.objectContaining(expected));
    expect(() => parse(fields)).toThrow(key);
  });

  it('throws CORRUPT_ARCHIVE for what is not JSON', () => {
    expect(() => parseReplacement(key, '{')).toThrow(key);
  });
});
