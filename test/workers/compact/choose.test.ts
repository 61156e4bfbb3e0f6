import { describe, expect, it } from 'vitest';
import type { CommitFile } from '../../../schemas/commit.ts';
import { outputKey } from '../../../schemas/replacement.ts';
import { chooseRuns, runsOf } from '../../../workers/compact/choose.ts';

const hourMs = Date.UTC(2026, 10, 22, 13);

function file(key: string, bytes: number, ids: [string, string] = ['0', 'f'], quarantined = false) {
  const [idMin, idMax] = ids.map((digit) => digit.repeat(32));
  const own: CommitFile = {
    key,
    bytes,
    rows: 1,
    hourMs,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined,
    rowGroups: [{ rows: 1, idMin: idMin ?? '', idMax: idMax ?? '' }],
  };
  return own;
}

function output(sequence: number, index: number, bytes: number, ids: [string, string]) {
  return file(outputKey('traces', hourMs, { sequence, attempt: `a-${index}` }), bytes, ids);
}

describe('runsOf()', () => {
  it('takes outputs of one replacement with ascending ids for one run, in that order', () => {
    const files = [
      output(1, 1, 5, ['8', 'f']),
      file('b', 7),
      output(1, 0, 5, ['0', '8']),
      file('a', 7),
    ];
    const runs = runsOf(files);
    expect(runs.map((run) => run.files.map(({ key }) => key.slice(-8)))).toEqual([
      ['a'],
      ['b'],
      ['.parquet', '.parquet'],
    ]);
    expect(runs[2]).toMatchObject({ bytes: 10, files: [files[2], files[0]] });
    expect(runsOf(files.toReversed())).toEqual(runs);
  });

  it('keeps outputs apart whose ids overlap, or that are of different replacements', () => {
    const overlapping = [output(1, 0, 5, ['0', '9']), output(1, 1, 5, ['8', 'f'])];
    expect(runsOf(overlapping)).toHaveLength(2);
    const different = [output(1, 0, 5, ['0', '7']), output(2, 0, 5, ['8', 'f'])];
    expect(runsOf(different)).toHaveLength(2);
  });
});

function chosen(sizes: readonly number[]): number[] {
  const runs = runsOf(sizes.map((bytes, index) => file(`k${index}`, bytes)));
  return chooseRuns(runs, 4).map(({ bytes }) => bytes);
}

describe('chooseRuns()', () => {
  it.each([
    ['too few', [5, 5, 5], []],
    ['enough of like size', [5, 5, 5, 5], [5, 5, 5, 5]],
    ['a large one and few small ones', [1000, 1, 1, 1], []],
    ['a large one that stays behind', [1000, 1, 1, 1, 1], [1, 1, 1, 1]],
    ['one that has grown enough to take the large one in', [48, 4, 4, 4], [4, 4, 4, 48]],
    ['one byte more than that', [49, 4, 4, 4], []],
    ['large ones enough, with the small ones', [1, 1, 9, 9, 9, 9], [1, 1, 9, 9, 9, 9]],
    ['the gap closed by many', [1, 50, 50, 50, 600], [1, 50, 50, 50, 600]],
  ])('of %s', (_, sizes, expected) => {
    expect(chosen(sizes)).toEqual(expected);
  });

  it('never mixes good and quarantined rows', () => {
    const good = ['a', 'b'].map((key) => file(key, 5));
    const bad = ['c', 'd', 'e'].map((key) => file(key, 5, ['0', 'f'], true));
    const runs = runsOf([...good, ...bad]);
    expect(chooseRuns(runs, 3).flatMap((run) => run.files)).toEqual(bad);
    expect(chooseRuns(runs, 4)).toEqual([]);
  });

  it('writes each byte again a number of times that grows with the logarithm', () => {
    let sizes: number[] = [];
    let [arrived, written] = [0, 0];
    for (let minute = 0; minute < 4096; minute += 1) {
      sizes.push(1);
      arrived += 1;
      const merged = chosen(sizes);
      if (merged.length === 0) continue;
      const sum = merged.reduce((total, bytes) => total + bytes, 0);
      for (const bytes of merged) sizes.splice(sizes.indexOf(bytes), 1);
      sizes = [...sizes, sum];
      written += sum;
    }
    expect(written / arrived).toBeLessThan(4 * Math.log2(arrived));
    expect(sizes.length).toBeLessThan(4 * Math.log2(arrived));
  });
});
