/** Decides who may use the gateway. Compares in constant time, and never says what was wrong. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { SettingError } from '../../schemas/errors.ts';
import type { Settings } from '../../schemas/settings.ts';

export type AdmitSettings = Pick<
  Settings,
  'KAFKA_REST_USER' | 'KAFKA_REST_PASSWORD' | 'KAFKA_REST_TOKEN' | 'TIDEMARK_KAFKA_REST_HOST'
>;

/** Whether a request with this `Authorization` header may pass. */
export type Admit = (authorization: string | undefined) => boolean;

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

/**
 * The rule that the settings state: a user by Basic, a token by Bearer, either where both are set,
 * anybody where none is. Throws `SettingError` when anybody could come from another machine.
 */
export function readAdmit(settings: AdmitSettings): Admit {
  const { KAFKA_REST_USER: user, KAFKA_REST_PASSWORD: password } = settings;
  const { KAFKA_REST_TOKEN: token, TIDEMARK_KAFKA_REST_HOST: host } = settings;
  if ((user === '') !== (password === '')) {
    const message = 'Cannot use KAFKA_REST_USER and KAFKA_REST_PASSWORD: only one of them is set';
    throw new SettingError('KAFKA_REST_USER', message);
  }
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  const wanted = [user === '' ? '' : `basic ${basic}`, token === '' ? '' : `bearer ${token}`];
  const known = wanted.filter((text) => text !== '');
  if (known.length > 0 || isLoopback(host)) return admitOnly(known);
  throw new SettingError(
    'TIDEMARK_KAFKA_REST_HOST',
    `Cannot serve on ${host} to anybody: set KAFKA_REST_USER and KAFKA_REST_PASSWORD or KAFKA_REST_TOKEN`,
  );
}

/** Whether only programs of this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return loopback.test(host);
}

/** Admits those who come with one of these credentials, such as `bearer …`; without any, everybody. */
export function admitOnly(credentials: readonly string[]): Admit {
  const wanted = credentials.map(digest);
  if (wanted.length === 0) return () => true;
  return (authorization) => isAmong(wanted, authorization ?? '');
}

function isAmong(wanted: readonly Buffer[], authorization: string): boolean {
  // RFC 9110, 11.1: the scheme's case does not count.
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+) *$/.exec(authorization) ?? [];
  const given = digest(`${scheme.toLowerCase()} ${credentials}`);
  // Every one is compared, and digests have one length: time tells nothing about the secret.
  const matches = wanted.map((digestOfOne) => timingSafeEqual(digestOfOne, given));
  return matches.includes(true);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
