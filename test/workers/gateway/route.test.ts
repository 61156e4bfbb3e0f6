import { describe, expect, it } from 'vitest';
import { routeOf } from '../../../workers/gateway/route.ts';

describe('routeOf()', () => {
  it.each([
    ['GET', '/healthz', { name: 'healthz' }],
    ['GET', '/topics?x=1', { name: 'topics' }],
    ['GET', '/v3/clusters/', { name: 'clusters' }],
    ['POST', '/topics/otlp_spans', { name: 'produceBinary', topic: 'otlp_spans' }],
    ['POST', '/topics/a%2Fb', { name: 'produceBinary', topic: 'a/b' }],
    [
      'POST',
      '/v3/clusters/c-1/topics/otlp_logs/records',
      { name: 'produceStream', cluster: 'c-1', topic: 'otlp_logs' },
    ],
    ['POST', '/healthz', { name: 'none', status: 405, message: 'Use GET' }],
    ['GET', '/topics/t', { name: 'none', status: 405, message: 'Use POST' }],
    ['POST', '/topics/%', { name: 'none', status: 400 }],
    ['GET', '/', { name: 'none', status: 404 }],
    ['POST', '/topics/t/partitions/0', { name: 'none', status: 404 }],
  ])('%s %s', (method, url, route) => {
    expect(routeOf(method, url)).toMatchObject(route);
  });
});
