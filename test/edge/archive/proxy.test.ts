/** The two dialects as a proxy reads them, and the settings that choose them. */
import { describe, expect, it } from 'vitest';
import { bodyOf, readProxy, recordJsonBytes } from '../../../edge/archive/proxy.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { KafkaProxy } from '../kafka.ts';

const proxyOf = (environment: Record<string, string>) => readProxy(readSettings(environment));
const v3 = { KAFKA_REST_VERSION: 'v3', KAFKA_REST_CLUSTER: 'c/1' };

const records = [
  { tenantId: 'acme', requestId: 'request-1', otlp: Uint8Array.of(0, 255, 128, 10) },
  { tenantId: 'beta_2', requestId: 'request-2-p0', otlp: new Uint8Array(1000).fill(7) },
];

describe('readProxy()', () => {
  it('readProxy() is undefined without a URL', () => {
    expect(proxyOf({})).toBeUndefined();
  });

  it('readProxy() joins paths, topics and clusters', () => {
    expect(proxyOf({ KAFKA_REST_URL: 'http://kafka.example:8082/' })?.urlOf('otlp_spans')).toBe(
      'http://kafka.example:8082/topics/otlp_spans',
    );
    const url = 'https://kafka.example/rest/';
    expect(proxyOf({ KAFKA_REST_URL: url, ...v3 })?.urlOf('otlp_logs')).toBe(
      'https://kafka.example/rest/v3/clusters/c%2F1/topics/otlp_logs/records',
    );
  });

  it('readProxy() authorizes by Basic, Bearer or not at all', () => {
    const url = { KAFKA_REST_URL: 'http://kafka.example' };
    expect(proxyOf(url)?.headers).not.toHaveProperty('Authorization');
    // RFC 7617's own example.
    expect(
      proxyOf({ ...url, KAFKA_REST_USER: 'Aladdin', KAFKA_REST_PASSWORD: 'open sesame' })?.headers,
    ).toMatchObject({ Authorization: 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==' });
    expect(proxyOf({ ...url, KAFKA_REST_TOKEN: 't0ken' })?.headers).toMatchObject({
      Authorization: 'Bearer t0ken',
    });
  });

  it.each<[string, Record<string, string>]>([
    ['KAFKA_REST_URL', { KAFKA_REST_URL: 'kafka:8082' }],
    ['KAFKA_REST_URL', { KAFKA_REST_URL: 'nowhere' }],
    ['KAFKA_REST_URL', { KAFKA_REST_URL: 'http://user:pass@kafka.example' }],
    ['KAFKA_REST_URL', { KAFKA_REST_URL: 'http://kafka.example/?a=b' }],
    ['KAFKA_REST_CLUSTER', { KAFKA_REST_URL: 'http://k.example', KAFKA_REST_VERSION: 'v3' }],
    ['KAFKA_REST_PASSWORD', { KAFKA_REST_URL: 'http://k.example', KAFKA_REST_PASSWORD: 'p' }],
    [
      'KAFKA_REST_TOKEN',
      { KAFKA_REST_URL: 'http://k.example', KAFKA_REST_TOKEN: 't', KAFKA_REST_USER: 'u' },
    ],
  ])('readProxy() refuses a %s that cannot be', (setting, environment) => {
    expect(() => proxyOf(environment)).toThrow(expect.objectContaining({ setting }) as Error);
  });

  it('readProxy() never makes a record larger than a call can carry', () => {
    const url = { KAFKA_REST_URL: 'http://k.example' };
    expect(proxyOf(url)?.recordBytesMax).toBe(900_000);
    // Karapace takes requests of 1 MiB.
    const proxy = proxyOf({ ...url, KAFKA_REST_REQUEST_BYTES_MAX: '1048576' });
    expect(proxy?.recordBytesMax).toBeGreaterThan(780_000);
    expect(recordJsonBytes(proxy?.recordBytesMax ?? 0)).toBeLessThanOrEqual(1_048_576);
  });
});

describe('bodyOf()', () => {
  it.each(['v2', 'v3'] as const)(
    'bodyOf() in %s is read back by a proxy, byte by byte',
    async (version) => {
      const kafka = new KafkaProxy();
      const proxy = proxyOf({
        KAFKA_REST_URL: 'http://k.example',
        ...(version === 'v3' ? v3 : {}),
      });
      const init = { headers: proxy?.headers ?? {}, body: bodyOf(version, records) };
      const url = proxy?.urlOf('otlp_metrics') ?? '';
      await kafka.answer(url, init, () => Promise.reject(new Error('not slow')));
      expect(kafka.stored).toEqual(
        records.map(({ tenantId, requestId, otlp }) => ({
          topic: 'otlp_metrics',
          key: `${tenantId}/${requestId}`,
          value: otlp,
          headers:
            version === 'v3'
              ? { 'tidemark-tenant': tenantId, 'tidemark-request-id': requestId }
              : {},
        })),
      );
    },
  );

  it('recordJsonBytes() bounds what a record adds, with the longest names that there are', () => {
    const tenantId = 'a'.repeat(63);
    const requestId = 'b'.repeat(64);
    for (const bytes of [0, 1, 2, 3, 4, 899_999]) {
      const record = { tenantId, requestId, otlp: new Uint8Array(bytes) };
      for (const version of ['v2', 'v3'] as const) {
        expect(bodyOf(version, [record]).length).toBeLessThanOrEqual(recordJsonBytes(bytes));
      }
    }
  });
});
