/** A wrong clock, ours or the store's: found out by the store's answers, said, and never early. */
import { describe, expect, it } from 'vitest';
import { main } from '../../../../bin/main.ts';
import { askedClock, earlierClock, skewOf } from '../../../../workers/clients/store/clock.ts';
import { closeAfterwards, storeOf } from '../../../support/unwell.ts';

closeAfterwards();

const hourMs = 3_600_000;

/** An empty bucket whose clock is ahead of ours. */
function storeAhead(aheadMs: number) {
  return storeOf((request, response) => {
    request.resume();
    response.setHeader('date', new Date(Date.now() + aheadMs).toUTCString());
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
  });
}

function listener() {
  const warnings: object[] = [];
  return { warnings, warn: (fields: object) => void warnings.push(fields) };
}

describe('askedClock()', () => {
  it.each([
    ['ahead of', -2, -2],
    ['behind', 2, 0],
  ])("gives the earlier time when our clock is %s the store's", async (_, ahead, expected) => {
    const log = listener();
    const now = await askedClock(await storeAhead(ahead * hourMs), () => 10 * hourMs, log);
    // The header has whole seconds.
    expect(Math.abs(now() - (10 + expected) * hourMs)).toBeLessThan(5000);
    now();
    expect(log.warnings).toHaveLength(1);
    expect(log.warnings[0]).toMatchObject({ hint: expect.stringContaining('clock') as string });
  });

  it('takes and says nothing of a difference within the slack of watermarks', async () => {
    const log = listener();
    const now = await askedClock(await storeAhead(-30_000), () => 10 * hourMs, log);
    expect(now()).toBe(10 * hourMs);
    expect(log.warnings).toEqual([]);
  });
});

describe('earlierClock()', () => {
  it('follows a difference that comes later, and tells it again when it has changed', () => {
    const log = listener();
    let aheadMs = 0;
    const now = earlierClock({ clockAheadMs: () => aheadMs }, () => 10 * hourMs, log);
    const times = [0, -hourMs, -hourMs - 2000, 0].map((ahead) => {
      aheadMs = ahead;
      return now();
    });
    const expected = [10 * hourMs, 9 * hourMs, 9 * hourMs - 2000, 10 * hourMs];
    expect(times).toEqual(expected);
    expect(log.warnings).toMatchObject([{ storeAheadSeconds: -3600 }, { storeAheadSeconds: 0 }]);
  });
});

describe('skewOf()', () => {
  it('is 0 for a store that tells no time', async () => {
    const silent = await storeOf((_, response) => {
      response.sendDate = false;
      response.writeHead(404).end();
    });
    expect(await silent.head('key')).toBe(undefined);
    expect(skewOf(silent)).toBe(0);
  });
});

it('tidemark retain judges days by the store where our clock is a hundred days ahead, and says so', async () => {
  const { endpoint } = await storeAhead(-100 * 24 * hourMs);
  const errors: string[] = [];
  const code = await main(['retain', '--dry-run', '--json'], {
    environment: { S3_ENDPOINT: endpoint, TIDEMARK_RETENTION: 'all=30d' },
    stdout: { write: () => true },
    stderr: { write: (text: string) => errors.push(text) },
    now: () => Date.now(),
    signal: new AbortController().signal,
  });
  expect(code).toBe(0);
  expect(errors.join('')).toContain("Our clock is not the object store's");
});
