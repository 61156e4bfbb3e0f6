/** One call to a proxy, with everything that can go wrong on its way. */
import { describe, expect, it } from 'vitest';
import { produce } from '../../../edge/archive/produce.ts';
import { readProxy } from '../../../edge/archive/proxy.ts';
import { produceAnswerBytesMax } from '../../../schemas/limits.ts';
import { readSettings } from '../../../schemas/settings.ts';

const settings = readSettings({ KAFKA_REST_URL: 'http://kafka.example', KAFKA_REST_TOKEN: 't' });
const records = ['a', 'b'].map((requestId) => ({
  tenantId: 'acme',
  requestId,
  otlp: Uint8Array.of(1, 2),
}));

async function call(answer: (init: RequestInit) => Promise<Response> | Response) {
  const proxy = readProxy(settings);
  if (proxy === undefined) throw new Error('there is no proxy');
  return produce('otlp_spans', records, proxy, settings, {
    timeout: (ms) => AbortSignal.timeout(ms),
    fetch: (_url, init) => Promise.resolve(answer(init)),
  });
}

const offsets = (...entries: object[]) => Response.json({ offsets: entries });

describe('produce()', () => {
  it('produce() posts with its credentials, follows no redirect and gives up in time', async () => {
    let seen: RequestInit = {};
    await call((init) => {
      seen = init;
      return offsets({ offset: 0 }, { offset: 1 });
    });
    expect(seen.method).toBe('POST');
    expect(seen.redirect).toBe('manual');
    expect(seen.signal).toBeInstanceOf(AbortSignal);
    expect(new Headers(seen.headers).get('authorization')).toBe('Bearer t');
    expect(await new Response(seen.body).json()).toEqual({
      records: [
        { key: btoa('acme/a'), value: 'AQI=' },
        { key: btoa('acme/b'), value: 'AQI=' },
      ],
    });
  });

  it.each<[string, () => Promise<Response> | Response, string[], boolean]>([
    ['stores all', () => offsets({ offset: 0 }, { offset: 1 }), ['stored', 'stored'], false],
    ['stores one', () => offsets({ offset: 0 }, { error_code: 2 }), ['stored', 'failed'], false],
    [
      'stores none',
      () => offsets({ error_code: 1 }, { error_code: 2 }),
      ['failed', 'failed'],
      true,
    ],
    [
      'knows no such topic',
      () => Response.json({ error_code: 40401 }, { status: 404 }),
      ['failed', 'failed'],
      false,
    ],
    ['finds it too large', () => new Response('', { status: 413 }), ['failed', 'failed'], false],
    ['knows no such user', () => new Response('', { status: 401 }), ['failed', 'failed'], true],
    ['limits', () => new Response('', { status: 429 }), ['failed', 'failed'], true],
    ['fails', () => new Response('', { status: 500 }), ['unknown', 'unknown'], true],
    [
      'redirects',
      () => Response.redirect('http://elsewhere.example/', 302),
      ['unknown', 'unknown'],
      true,
    ],
    ['shows a page', () => new Response('<html>'), ['unknown', 'unknown'], true],
    ['says nothing', () => new Response(null), ['unknown', 'unknown'], true],
    [
      'is gone',
      () => Promise.reject(new Error('connection refused')),
      ['unknown', 'unknown'],
      true,
    ],
    [
      'never ends',
      () => new Response(new Uint8Array(produceAnswerBytesMax + 1).fill(32)),
      ['unknown', 'unknown'],
      true,
    ],
  ])('a proxy that %s', async (_what, answer, fates, isFaulty) => {
    const produced = await call(answer);
    expect(produced.fates).toEqual(fates);
    expect(produced.isFaulty).toBe(isFaulty);
    expect(produced.what).toMatch(/^(answered \d+(, cut off)?|did not answer)$/);
  });
});
