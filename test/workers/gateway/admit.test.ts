import { describe, expect, it } from 'vitest';
import { readSettings } from '../../../schemas/settings.ts';
import { readAdmit } from '../../../workers/gateway/admit.ts';

const admitOf = (environment: Record<string, string>) => readAdmit(readSettings(environment));
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('readAdmit()', () => {
  it('admits anybody on loopback when no credentials are set', () => {
    for (const host of ['127.0.0.1', 'localhost', '::1', '127.8.0.1']) {
      const admit = admitOf({ TIDEMARK_KAFKA_REST_HOST: host });
      expect([admit(undefined), admit('Bearer x')]).toEqual([true, true]);
    }
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'kafka.example'])(
    'refuses to serve anybody on %s',
    (host) => {
      expect(() => admitOf({ TIDEMARK_KAFKA_REST_HOST: host })).toThrow(
        expect.objectContaining({ setting: 'TIDEMARK_KAFKA_REST_HOST' }) as Error,
      );
      const guarded = { TIDEMARK_KAFKA_REST_HOST: host, KAFKA_REST_TOKEN: 'x' };
      expect(admitOf(guarded)('Bearer x')).toBe(true);
    },
  );

  it('admits the user alone when one is set', () => {
    const admit = admitOf({ KAFKA_REST_USER: 'edge', KAFKA_REST_PASSWORD: 'p:ä' });
    expect(admit(basic('edge:p:ä'))).toBe(true);
    expect(admit(basic('edge:p:ä').replace('Basic', 'bASIC'))).toBe(true);
    const wrong = [undefined, '', basic('edge:p'), basic('edge:p:ä '), 'Bearer edge', 'Basic'];
    expect(wrong.map(admit)).toEqual(wrong.map(() => false));
  });

  it('admits the token alone when one is set, and either when both are', () => {
    const admit = admitOf({ KAFKA_REST_TOKEN: 'Secret' });
    expect(['Bearer Secret', 'bearer Secret', 'Bearer secret', 'Secret'].map(admit)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    const both = { KAFKA_REST_TOKEN: 't', KAFKA_REST_USER: 'u', KAFKA_REST_PASSWORD: 'p' };
    expect([basic('u:p'), 'Bearer t', 'Bearer p', undefined].map(admitOf(both))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('refuses half a user', () => {
    expect(() => admitOf({ KAFKA_REST_USER: 'u' })).toThrow('only one of them is set');
    expect(() => admitOf({ KAFKA_REST_PASSWORD: 'p' })).toThrow('only one of them is set');
  });
});
