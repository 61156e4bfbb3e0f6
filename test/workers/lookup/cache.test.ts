import { describe, expect, it } from 'vitest';
import { AnswerCache } from '../../../workers/lookup/cache.ts';

const answerOf = (text: string) => ({ text, bytes: text.length, forMs: 100 });

describe('AnswerCache', () => {
  it('get() asks once while an answer is good, and for all who wait for it', async () => {
    let [nowMs, asked] = [0, 0];
    const cache = new AnswerCache<ReturnType<typeof answerOf>>(10, () => nowMs);
    const find = () => Promise.resolve(answerOf(String((asked += 1))));
    const both = await Promise.all([cache.get('a', find), cache.get('a', find)]);
    expect(both.map(({ text }) => text)).toEqual(['1', '1']);
    nowMs = 99;
    expect((await cache.get('a', find)).text).toBe('1');
    nowMs = 100;
    expect((await cache.get('a', find)).text).toBe('2');
  });

  it('get() lets go of what was asked for longest ago, and keeps nothing too large', async () => {
    const cache = new AnswerCache<ReturnType<typeof answerOf>>(10, () => 0);
    const asked: string[] = [];
    const get = (key: string, length: number) =>
      cache.get(key, () => {
        asked.push(key);
        return Promise.resolve(answerOf('x'.repeat(length)));
      });
    await get('a', 4);
    await get('b', 4);
    await get('a', 4);
    await get('c', 4);
    await get('a', 4);
    await get('b', 4);
    await get('large', 11);
    await get('large', 11);
    expect(asked).toEqual(['a', 'b', 'c', 'b', 'large', 'large']);
  });

  it('get() keeps no failure', async () => {
    const cache = new AnswerCache<ReturnType<typeof answerOf>>(10, () => 0);
    await expect(cache.get('a', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect((await cache.get('a', () => Promise.resolve(answerOf('there')))).text).toBe('there');
  });
});
