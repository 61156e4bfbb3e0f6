/** Rows 31–42: what answers say. */
import { isClientFault, isTaken, readExport, readStatus, rejectedBy, typeOf } from '../answer.ts';
import { mixed, post, requestBytes, spanBytes } from '../payload.ts';
import { fail, notApplicable, pass, row, unseen } from '../row.ts';
import type { Row, Send, Target } from '../row.ts';
import {
  askedType,
  combinations,
  every,
  exemplars,
  faultyShots,
  isOtlpType,
  shoot,
  shotsOf,
  summarize,
  validShots,
} from '../shot.ts';
import type { Shot } from '../shot.ts';

const mib = 1 << 20;

/** OTLP 1.11, "OTLP/HTTP Response": the largest body that is recommended. */
const answerBytesMax = 4 * mib;

export const responseRows: readonly Row[] = [
  row({
    number: 31,
    level: 'MUST',
    title: 'full success: 200, and partial_success is not set',
    expected: '200 with no bytes in protobuf, {} in JSON',
    run: (target) => shoot(target, validShots(target)),
    judge: (shots) =>
      every(shots, ({ answer }) => {
        const body = readExport(answer);
        return answer.status === 200 && body !== undefined && body.partial === undefined;
      }),
  }),
  row({
    number: 32,
    level: 'SHOULD',
    title: 'a request without items succeeds; an empty JSON body is none',
    expected: '200 for no protobuf bytes and for {}, 400 for no JSON bytes',
    run: (target) =>
      shoot(
        target,
        combinations(target).flatMap(({ signal, encoding, label }) => {
          const empty = [label, post(signal, encoding, encoding === 'json' ? '{}' : '')] as const;
          const nothing = [`${label} nothing`, post(signal, encoding, '')] as const;
          return encoding === 'json' ? [empty, nothing] : [empty];
        }),
      ),
    judge: (shots) => {
      const nothing = shots.filter(({ label }) => label.endsWith('nothing'));
      const empty = shots.filter((shot) => !nothing.includes(shot));
      const judged = every(empty, ({ answer }) => isTaken(answer));
      if (judged.verdict !== 'pass' || nothing.length === 0) return judged;
      const bad = every(nothing, ({ answer }) => answer.status === 400);
      return bad.verdict === 'pass' ? pass(summarize(shots)) : fail(bad.seen, 'tidemark');
    },
  }),
  row({
    number: 33,
    level: 'MAY',
    title: 'envelopes without items may be ignored',
    expected: '200',
    run: (target) =>
      shoot(
        target,
        target.signals.map((signal) => [signal, post(signal, 'protobuf', requestBytes())]),
      ),
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
  partialRow(34, 'MUST', 'partial success: 200 and the exact count of rejected items', {
    expected: 'of 3 items, the invalid one is rejected',
    holds: ({ answer }) => rejectedBy(answer) === 1n,
  }),
  partialRow(35, 'SHOULD', 'a partial success says why in words', {
    expected: 'an error_message',
    holds: ({ answer }) => (readExport(answer)?.partial?.message ?? '') !== '',
  }),
  row({
    number: 36,
    level: 'MUST',
    title: 'a warning rejects nothing and has a message',
    expected: 'partial_success with an error_message that rejects 0',
    isLast: true,
    run: async (target) => {
      const spans = requestBytes(
        spanBytes(target, { startNs: 1_000_000_000n, endNs: 2_000_000_000n }),
      );
      const old = target.signals.includes('traces')
        ? await shoot(target, [['a span of 1970', post('traces', 'protobuf', spans)]])
        : [];
      return [...old, ...shotsOf(target.transcript)];
    },
    judge: (shots) => {
      // An empty partial_success is the same as none (comment in the protos), and no warning.
      const warning = shots.find(
        ({ answer }) => rejectedBy(answer) === 0n && readExport(answer)?.partial?.message !== '',
      );
      return warning ? pass(summarize([warning])) : notApplicable('no warning was seen');
    },
  }),
  row({
    number: 37,
    level: 'MUST',
    title: 'JSON names are lowerCamelCase and counts are strings (proto3 JSON)',
    expected: '{"partialSuccess":{"rejected…":"1","errorMessage":…}}',
    run: (target) =>
      shoot(
        target,
        mixedShots(target).filter(([label]) => label.endsWith('json')),
      ),
    judge: (shots) => {
      const partial = shots.filter(({ answer }) => (rejectedBy(answer) ?? 0n) > 0n);
      if (partial.length === 0) return notApplicable(noPartial(shots));
      return every(
        partial,
        ({ label, answer }) => {
          const body = readExport(answer)?.partial;
          const name = rejectedNames[label.split(' ')[0] ?? ''] ?? '';
          return (body?.isTextual ?? false) && (body?.names.includes(name) ?? false);
        },
        ({ answer }) => new TextDecoder().decode(answer.body).slice(0, 120),
      );
    },
  }),
  unseen({
    number: 38,
    level: 'MUST',
    title: 'what may pass is never told as partial success: clients do not retry it',
    expected: 'invalid items alone are rejected',
    why: 'needs a fault behind the endpoint',
  }),
  row({
    number: 39,
    level: 'MUST',
    title: 'the size of answers is limited',
    expected: `at most ${answerBytesMax} bytes`,
    run: (target) => shoot(target, provoking(target)),
    judge: (shots) =>
      every(
        shots,
        ({ answer }) => answer.status > 0 && answer.body.length <= answerBytesMax,
        ({ answer }) => `${answer.status} of ${answer.body.length} bytes`,
      ),
  }),
  row({
    number: 40,
    level: 'MUST',
    title: 'bodies of all 4xx and 5xx are a Status in the encoding of the request',
    expected: 'a google.rpc.Status, for 400, 404, 405, 413 and 415 alike',
    isLast: true,
    run: async (target) => {
      await shoot(target, refusals(target));
      return shotsOf(target.transcript).filter(({ answer }) => answer.status >= 400);
    },
    judge: (shots) => {
      const wrong = shots.filter((shot) => !hasStatus(shot));
      if (shots.length === 0) return notApplicable('no request was refused');
      if (wrong.length === 0) return pass(`${shots.length} answers, each with a Status`);
      return fail(`${wrong.length} of ${shots.length} have none, such as ${exemplars(wrong)}`);
    },
  }),
  row({
    number: 41,
    level: 'SHOULD',
    title: 'a Status has a message for developers',
    expected: 'a message',
    run: (target) => shoot(target, faultyShots(target)),
    judge: (shots) => every(shots, ({ answer }) => (readStatus(answer)?.message ?? '') !== ''),
  }),
  row({
    number: 42,
    level: 'MUST',
    title: 'a body that cannot be decoded is 400, with BadRequest details (SHOULD)',
    expected: '400, and a google.rpc.BadRequest in the details',
    run: (target) => shoot(target, [...faultyShots(target), ...foreign(target)]),
    judge: (shots) => {
      const status = every(shots, ({ answer }) => answer.status === 400);
      if (status.verdict !== 'pass') return status;
      const detailed = every(shots, ({ answer }) => readStatus(answer)?.hasBadRequest ?? false);
      return detailed.verdict === 'pass'
        ? detailed
        : fail(`${detailed.seen}: no BadRequest`, 'SHOULD');
    },
  }),
];

const rejectedNames: Readonly<Record<string, string>> = {
  traces: 'rejectedSpans',
  metrics: 'rejectedDataPoints',
  logs: 'rejectedLogRecords',
};

function mixedShots(target: Target) {
  return combinations(target).map(
    ({ signal, encoding, label }) =>
      [label, post(signal, encoding, mixed(target, signal, encoding))] as const,
  );
}

/** A rule about answers to requests that mix valid and invalid items. */
function partialRow(
  number: number,
  level: Row['level'],
  title: string,
  { expected, holds }: { expected: string; holds: (shot: Shot) => boolean },
): Row {
  return row({
    number,
    level,
    title,
    expected,
    run: (target) => shoot(target, mixedShots(target)),
    judge: (shots) => {
      const partial = shots.filter(({ answer }) => (rejectedBy(answer) ?? 0n) > 0n);
      return partial.length > 0 ? every(partial, holds) : notApplicable(noPartial(shots));
    },
  });
}

function noPartial(shots: readonly Shot[]): string {
  if (shots.every(({ answer }) => isClientFault(answer))) {
    return 'one invalid item refuses the whole request';
  }
  return `no partial success was seen: ${summarize(shots)}`;
}

/** Bytes that are no text, sent as JSON: what errors quote of them must not spoil the answer. */
function foreign(target: Target): [string, Send][] {
  return combinations(target)
    .filter(({ encoding }) => encoding === 'json')
    .map(({ signal, label }) => [
      `${label} with protobuf inside`,
      post(signal, 'json', requestBytes(target.randomBytes(16))),
    ]);
}

/** One request for each status that a client can cause. */
function refusals(target: Target): [string, Send][] {
  return combinations(target).flatMap(({ signal, encoding }): [string, Send][] => {
    const send = post(signal, encoding, '{"broken');
    return [
      ['400', send],
      ['404', { ...send, path: '/v1/tidemark-check' }],
      ['405', { ...send, method: 'PUT' }],
      ['415', { ...send, headers: { ...send.headers, 'content-encoding': 'x-tidemark-check' } }],
    ];
  });
}

/** Requests whose answers could become large: 20,000 invalid items, and a long wrong value. */
function provoking(target: Target): [string, Send][] {
  const requests: [string, Send][] = [];
  if (target.signals.includes('traces')) {
    const item = spanBytes(target, { traceId: target.randomBytes(3) });
    const spans = Array.from({ length: 20_000 }, () => item);
    requests.push(['20,000 invalid', post('traces', 'protobuf', requestBytes(...spans))]);
    const kind = 'K'.repeat(5 * mib);
    const json = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"${kind}"}]}]}]}`;
    if (target.encodings.includes('json')) requests.push(['5 MiB', post('traces', 'json', json)]);
  }
  return requests;
}

/** RFC 9110, section 15: a 4xx to a method without content, such as HEAD, has no body either. */
function hasStatus(shot: Shot): boolean {
  if (readStatus(shot.answer) === undefined) return false;
  const asked = askedType(shot);
  return !isOtlpType(asked) || typeOf(shot.answer) === asked;
}
