import { describe, expect, it } from 'vitest';
import { lookUp } from '../../../edge/api/lookup.ts';

const traceId = '5b8efff798038103d269b633813fc60c';
const answers: Record<string, readonly [status: number, body: string]> = {
  found: [200, '{"data":[{"spanId":"01"}]}'],
  nowhere: [404, '{"detail":"There is no such trace"}'],
  large: [422, '{"detail":"Cannot show it"}'],
  locked: [401, '{"detail":"No valid token"}'],
  busy: [503, '{"detail":"Cannot look now"}'],
  strange: [200, '<html>a proxy</html>'],
  empty: [200, '{}'],
};

const tools = {
  /** Answers as the service does, when it is asked as it wants to be. */
  fetch: (url: string, { headers }: RequestInit) => {
    const [, name = '', ...path] = new URL(url).pathname.split('/');
    const given = new Headers(headers);
    const isRight =
      path.join('/') === `traces/${traceId}` &&
      given.get('authorization') === 'Bearer secret' &&
      given.get('tidemark-tenant') === 'acme';
    if (name === 'gone') return Promise.reject(new TypeError('connection refused'));
    const [status, body] = (isRight ? answers[name] : undefined) ?? [500, ''];
    return Promise.resolve(new Response(body, { status }));
  },
  timeout: (ms: number) => AbortSignal.timeout(ms),
  now: () => 0,
  requestId: () => 'r',
};

function ask(name: string, url = `http://lookup/${name}/`) {
  const settings = { TIDEMARK_LOOKUP_URL: url, TIDEMARK_LOOKUP_TOKEN: 'secret' };
  return lookUp(traceId.toUpperCase(), 'acme', settings, tools);
}

describe('lookUp()', () => {
  it('gives rows with their layer, and none of a trace that is nowhere', async () => {
    expect(await ask('found')).toEqual([{ spanId: '01', layer: 'archive' }]);
    expect(await ask('nowhere')).toEqual([]);
    expect(await ask('none', '')).toEqual([]);
  });

  it.each(['locked', 'busy', 'strange', 'empty'])('does not know when it is %s', async (name) => {
    await expect(ask(name)).rejects.toMatchObject({ code: 'SINK_FAILED', retryable: true });
  });

  it('says that a trace is too large, and when nobody answers', async () => {
    await expect(ask('large')).rejects.toMatchObject({ code: 'CAPACITY' });
    await expect(ask('gone')).rejects.toMatchObject({ code: 'SINK_FAILED' });
  });
});
