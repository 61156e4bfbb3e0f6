/** Rows 43–52: how clients are told to go on, and what browsers may read. */
import { readStatus, typeOf } from '../answer.ts';
import { post, valid } from '../payload.ts';
import { fail, notApplicable, pass, row, unseen } from '../row.ts';
import type { Judgement, Row } from '../row.ts';
import { every, exemplars, faultyShots, isOtlpType, shoot, shotsOf } from '../shot.ts';
import type { Shot } from '../shot.ts';

export const retryRows: readonly Row[] = [
  unseen({
    number: 43,
    level: 'MUST',
    title: 'what may pass is 429, 502, 503 or 504, never 500 or 408',
    expected: 'clients retry what may pass',
    why: 'needs a fault behind the endpoint',
  }),
  afterwards(44, 'MAY', 'overload is 429 or 503 and may say when to come again', {
    expected: '429 or 503',
    concerns: ({ answer }) => answer.status === 429 || answer.status === 503,
    holds: () => true,
    none: 'the endpoint was not overloaded',
  }),
  afterwards(45, 'MUST', 'Retry-After is seconds or an HTTP date, on 429 and 503', {
    expected: 'digits, or a date',
    concerns: ({ answer }) => answer.headers['retry-after'] !== undefined,
    holds: ({ answer }) => {
      const value = answer.headers['retry-after'] ?? '';
      return [429, 503].includes(answer.status) && (/^\d+$/.test(value) || isHttpDate(value));
    },
    none: 'no answer had Retry-After',
  }),
  row({
    number: 46,
    level: 'collector',
    title: 'answers that must not be retried have no Retry-After',
    expected: 'none on 400 and 500',
    run: (target) => shoot(target, faultyShots(target)),
    judge: (shots) => every(shots, ({ answer }) => answer.headers['retry-after'] === undefined),
  }),
  unseen({
    number: 47,
    level: 'collector',
    title: 'the Collector’s client reads Retry-After as seconds, then as a date',
    expected: 'a retry after that time',
    why: 'a rule for clients',
  }),
  unseen({
    number: 48,
    level: 'collector',
    title: 'the Collector’s client reads each Status as protobuf',
    expected: 'a JSON Status does no harm',
    why: 'a rule for clients',
  }),
  row({
    number: 49,
    level: 'collector',
    title: 'success is never told in another content type, which clients cannot tell from loss',
    expected: 'each 200 to an export has a type of OTLP',
    isLast: true,
    run: async (target) => {
      return shotsOf(target.transcript).filter(
        ({ answer, request }) => answer.status === 200 && (request.method ?? 'POST') === 'POST',
      );
    },
    judge: (shots) => {
      const wrong = shots.filter(({ answer }) => !isOtlpType(typeOf(answer)));
      return wrong.length === 0 ? pass(`${shots.length} answers of 200`) : fail(exemplars(wrong));
    },
  }),
  row({
    number: 50,
    level: 'collector',
    title: 'without credentials: 401 or 403 with a Status, before the body is read',
    expected: '401 or 403 for a valid and for a broken body',
    run: async (target) => {
      const [signal = 'traces'] = target.signals;
      const requests = [
        ['valid', post(signal, 'protobuf', valid(target, signal, 'protobuf'))],
        ['broken', post(signal, 'protobuf', '{"broken')],
      ] as const;
      return shoot(
        target,
        requests.map(([label, send]) => [label, { ...send, isAnonymous: true }]),
      );
    },
    judge: (shots) => {
      if (shots[0]?.answer.status === 200) return notApplicable('it asks for no credentials');
      return every(
        shots,
        ({ answer }) => [401, 403].includes(answer.status) && !!readStatus(answer),
      );
    },
  }),
  row({
    number: 51,
    level: 'SHOULD',
    title: 'a connection closed without an answer is retried by clients: each is answered',
    expected: 'no request without an answer',
    isLast: true,
    run: async (target) => {
      return shotsOf(target.transcript);
    },
    judge: (shots) => {
      // Who waits for a body that was promised, and does not come, need not answer.
      const whole = shots.filter(({ request }) => typeof request.framing !== 'number');
      const without = whole.filter(({ answer }) => answer.status === 0);
      if (without.length === 0) return pass(`${whole.length} requests, each answered`);
      return fail(`${without.length} of ${whole.length}, such as ${exemplars(without)}`);
    },
  }),
  row({
    number: 52,
    level: 'collector',
    title: 'CORS headers are on success and on errors alike',
    expected: 'Access-Control-Allow-Origin; Vary: Origin when it names one; no * with credentials',
    run: (target) => {
      const [signal = 'traces'] = target.signals;
      const origin = { origin: 'https://tidemark-check.example' };
      return shoot(target, [
        ['200', post(signal, 'protobuf', valid(target, signal, 'protobuf'), origin)],
        ['400', post(signal, 'protobuf', '{"broken', origin)],
        ['404', { ...post(signal, 'protobuf', '', origin), path: '/v1/tidemark-check' }],
      ]);
    },
    judge: judgeCors,
  }),
];

/** A rule about answers that the check cannot provoke, judged by those that it met. */
function afterwards(
  number: number,
  level: Row['level'],
  title: string,
  rule: {
    expected: string;
    concerns: (shot: Shot) => boolean;
    holds: (shot: Shot) => boolean;
    none: string;
  },
): Row {
  return row({
    number,
    level,
    title,
    expected: rule.expected,
    isLast: true,
    run: async ({ transcript }) => shotsOf(transcript).filter(rule.concerns),
    judge: (shots) => (shots.length === 0 ? notApplicable(rule.none) : every(shots, rule.holds)),
  });
}

function isHttpDate(value: string): boolean {
  return /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value);
}

function allowed({ answer }: Shot): string | undefined {
  return answer.headers['access-control-allow-origin'];
}

function judgeCors(shots: readonly Shot[]): Judgement {
  if (shots.every((shot) => allowed(shot) === undefined)) {
    return notApplicable('it does not allow the origin https://tidemark-check.example');
  }
  return every(
    shots,
    (shot) => {
      const { headers } = shot.answer;
      if (allowed(shot) === '*') return headers['access-control-allow-credentials'] !== 'true';
      return allowed(shot) !== undefined && /\borigin\b|\*/i.test(headers['vary'] ?? '');
    },
    (shot) => `${shot.answer.status} allows ${allowed(shot) ?? 'none'}`,
  );
}
