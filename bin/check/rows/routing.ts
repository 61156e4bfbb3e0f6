/** Rows 1–12: which paths and methods an endpoint answers, and how. */
import { describeAnswer, isTaken, readStatus } from '../answer.ts';
import { mediaTypes, pathOf, post, requestBytes, itemBytes, signals, valid } from '../payload.ts';
import { fail, notApplicable, pass, row } from '../row.ts';
import type { Judgement, Row, Signal, Target } from '../row.ts';
import { every, shoot, summarize } from '../shot.ts';

/** The port that OTLP/HTTP has when none is named. */
const defaultPort = '4318';

const noItems = new Uint8Array();

export const routingRows: readonly Row[] = [
  takes(1, 'traces', 'ExportTraceServiceRequest'),
  takes(2, 'metrics', 'ExportMetricsServiceRequest'),
  takes(3, 'logs', 'ExportLogsServiceRequest'),
  row({
    number: 4,
    level: 'tidemark',
    title: '/v1development/profiles, the path of a signal in development',
    expected: '200, or 404 with a Status body',
    run: (target) => shoot(target, [['profiles', profiles]]),
    judge: (shots) =>
      every(
        shots,
        ({ answer }) => answer.status === 200 || (answer.status === 404 && !!readStatus(answer)),
      ),
  }),
  row({
    number: 5,
    level: 'MAY',
    title: 'other paths: a prefix keeps the suffix that SDKs append',
    expected: '200 at the address’s own prefix, or at /t/default/v1/traces',
    run: async (target) => ({ prefix: target.url.pathname, shots: await prefixed(target) }),
    judge: ({ prefix, shots }) => {
      if (prefix !== '/') return pass(`the endpoint is at ${prefix}`);
      const taken = shots.filter(({ answer }) => isTaken(answer));
      if (taken.length > 0) return pass(summarize(taken));
      return notApplicable('the address has no prefix, and none was found');
    },
  }),
  row({
    number: 6,
    level: 'SHOULD',
    title: 'the default port is 4318',
    expected: `port ${defaultPort} where the endpoint's own default is used`,
    run: async ({ url }) => url.port,
    judge: (port) =>
      port === defaultPort
        ? pass(`port ${port}`)
        : notApplicable('another port was given; a default cannot be seen'),
  }),
  row({
    number: 7,
    level: 'MAY',
    title: 'HTTP/1.1, and HTTP/2',
    expected: 'h2 chosen by ALPN where the endpoint has TLS',
    run: async (target) => target.protocol?.(),
    judge: (protocol) => {
      if (protocol === undefined) return notApplicable('without TLS, HTTP/1.1 was spoken');
      return protocol === 'h2' ? pass('h2') : notApplicable(`${protocol} was chosen`);
    },
  }),
  row({
    number: 8,
    level: 'SHOULD',
    title: 'both encodings on one port, chosen by Content-Type',
    expected: '200 for protobuf and for JSON',
    run: (target) => {
      const [signal = 'traces'] = target.signals;
      return shoot(target, [
        ['protobuf', post(signal, 'protobuf', valid(target, signal, 'protobuf'))],
        ['json', post(signal, 'json', valid(target, signal, 'json'))],
      ]);
    },
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
  row({
    number: 9,
    level: 'collector',
    title: 'methods but POST are refused',
    expected: '405 with Allow: POST',
    run: (target) => {
      const path = pathOf(target.signals[0] ?? 'traces');
      const methods = ['GET', 'PUT', 'PATCH', 'DELETE'] as const;
      return shoot(
        target,
        methods.map((method) => [method, { method, path }] as const),
      );
    },
    judge: (shots) => {
      const status = every(shots, ({ answer }) => answer.status === 405);
      if (status.verdict !== 'pass') return status;
      // RFC 9110, section 15.5.6, wants Allow in every 405; OTLP says nothing of it.
      const allow = every(
        shots,
        ({ answer }) => (answer.headers['allow'] ?? '').includes('POST'),
        ({ answer }) => `405 with Allow: ${answer.headers['allow'] ?? '(none)'}`,
      );
      return allow.verdict === 'fail' ? fail(allow.seen, 'tidemark') : allow;
    },
  }),
  row({
    number: 10,
    level: 'tidemark',
    title: 'a CORS preflight needs no credentials and may be kept',
    expected: '2xx with Access-Control-Max-Age',
    run: (target) => shoot(target, [['OPTIONS', preflight(target)]]),
    judge: (shots) =>
      every(
        shots,
        ({ answer }) =>
          answer.status >= 200 && answer.status < 300 && !!answer.headers['access-control-max-age'],
        ({ answer }) =>
          `${describeAnswer(answer)}, max-age ${answer.headers['access-control-max-age'] ?? 'none'}`,
      ),
  }),
  row({
    number: 11,
    level: 'MUST',
    title: 'an unknown path is 404 with a Status body',
    expected: '404 with a Status body in the type of the request',
    run: (target) =>
      shoot(target, [
        ['protobuf', { ...profiles, path: '/v1/tidemark-check' }],
        [
          'json',
          {
            ...post('traces', 'json', '{}'),
            path: '/v1/tidemark-check',
          },
        ],
      ]),
    judge: (shots) => every(shots, ({ answer }) => answer.status === 404 && !!readStatus(answer)),
  }),
  row({
    number: 12,
    level: 'tidemark',
    title: 'a slash at the end or a doubled one changes nothing',
    expected: '200, as without them',
    run: (target) => {
      const [signal = 'traces'] = target.signals;
      return shoot(
        target,
        [`${pathOf(signal)}/`, `/${pathOf(signal)}`].map((path) => {
          const body = requestBytes(itemBytes(target, signal));
          return [path, { ...post(signal, 'protobuf', body), path }] as const;
        }),
      );
    },
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
];

const profiles = {
  path: '/v1development/profiles',
  headers: { 'content-type': mediaTypes.protobuf },
  body: noItems,
};

function takes(number: number, signal: Signal, request: string): Row {
  return row({
    number,
    level: 'MUST',
    title: `POST ${pathOf(signal)} takes ${request}`,
    expected: '200',
    run: async (target) => {
      const [encoding = 'protobuf'] = target.encodings;
      const body = valid(target, signal, encoding);
      return {
        shots: await shoot(target, [[encoding, post(signal, encoding, body)]]),
        others: target.signals.filter((other) => other !== signal),
      };
    },
    judge: ({ shots, others }): Judgement => {
      // No server has to take every signal.
      const [shot] = shots;
      if (shot && [404, 405, 501].includes(shot.answer.status) && others.length > 0) {
        return notApplicable(`it does not take ${signal}: ${describeAnswer(shot.answer)}`);
      }
      return every(shots, ({ answer }) => isTaken(answer));
    },
  });
}

function prefixed(target: Target) {
  const path = '/t/default/v1/traces';
  if (target.url.pathname !== '/' || !target.signals.includes('traces')) return [];
  const [encoding = 'protobuf'] = target.encodings;
  return shoot(target, [
    [path, { ...post('traces', encoding, valid(target, 'traces', encoding)), path }],
  ]);
}

function preflight(target: Target) {
  return {
    method: 'OPTIONS',
    path: pathOf(target.signals[0] ?? signals[0] ?? 'traces'),
    isAnonymous: true,
    headers: {
      origin: 'https://tidemark-check.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    },
  };
}
