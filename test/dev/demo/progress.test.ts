/** Tests of the display of progress. */
import { describe, expect, it } from 'vitest';
import { Progress } from '../../../dev/demo/progress.ts';

function collector(isTTY: boolean) {
  const texts: string[] = [];
  return { texts, sink: { isTTY, write: (text: string) => void texts.push(text) } };
}

describe('Progress', () => {
  it('writes plain lines, few of them, where nobody watches', () => {
    let nowMs = 0;
    const { texts, sink } = collector(false);
    const progress = new Progress(sink, () => nowMs);
    progress.begin('send');
    for (let turn = 0; turn < 60; turn += 1) {
      nowMs += 100;
      progress.update(`${turn} of 60`);
    }
    progress.end('60 sent');
    expect(texts).toEqual(['  … send: 49 of 60\n', '  ✓ send: 60 sent (6.0 s)\n']);
  });

  it('rewrites one line on a terminal', () => {
    let nowMs = 0;
    const { texts, sink } = collector(true);
    const progress = new Progress(sink, () => nowMs);
    progress.begin('send');
    nowMs = 200;
    progress.update('1 of 2');
    progress.end('2 sent');
    expect(texts.filter((text) => text.includes('\n'))).toHaveLength(1);
    expect(texts.join('')).toContain('1 of 2');
  });

  it('fail() ends the line of the step that was under way', () => {
    const { texts, sink } = collector(false);
    const progress = new Progress(sink, () => 0);
    progress.begin('send');
    progress.fail();
    progress.fail();
    expect(texts).toEqual(['  ✗ send\n']);
  });
});
