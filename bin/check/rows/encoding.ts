/** Rows 13–30: content types, compression and the sizes of bodies. */
import {
  describeAnswer,
  isClientFault,
  isTaken,
  plainAnswer,
  readExport,
  readStatus,
  typeOf,
} from '../answer.ts';
import { absurdBytes, findLimit, recommendedBytes, sized } from '../limit.ts';
import { itemBytes, mediaTypes, pathOf, post, requestBytes, valid } from '../payload.ts';
import { fail, notApplicable, pass, row } from '../row.ts';
import type { Judgement, Limit, Row, Send, Signal, Target } from '../row.ts';
import { askedType, combinations, every, shoot } from '../shot.ts';
import { join, utf8 } from '../wire.ts';

const plainText = utf8('{"this is": "not compressed"}');

/** A promise that no server should believe: 1 TiB. */
const promisedBytes = 2 ** 40;

export const encodingRows: readonly Row[] = [
  row({
    number: 13,
    level: 'MUST',
    title: 'application/x-protobuf is binary, application/json is JSON',
    expected: '200 for each under its own type, and not under the other',
    run: (target) =>
      shoot(
        target,
        combinations(target).flatMap(({ signal, encoding, label }) => {
          const other = encoding === 'json' ? 'protobuf' : 'json';
          const wrong = post(signal, encoding, valid(target, signal, other));
          const right = post(signal, encoding, valid(target, signal, encoding));
          return [[label, right] as const, [`${label} with ${other} inside`, wrong] as const];
        }),
      ),
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label.endsWith('inside') ? answer.status >= 400 : isTaken(answer),
      ),
  }),
  row({
    number: 14,
    level: 'collector',
    title: 'parameters and letter case of the type do not matter',
    expected: '200, and the bare type in the answer',
    run: (target) =>
      shoot(
        target,
        target.encodings.flatMap((encoding) => {
          const type = mediaTypes[encoding];
          return [`${type}; charset=utf-8`, type.toUpperCase()].map((header) => {
            const body = valid(target, signalOf(target), encoding);
            const send = post(signalOf(target), encoding, body, { 'content-type': header });
            return [header, send] as const;
          });
        }),
      ),
    judge: (shots) =>
      every(
        shots,
        (shot) => isTaken(shot.answer) && shot.answer.headers['content-type'] === askedType(shot),
        ({ answer }) => `${answer.status} ${answer.headers['content-type'] ?? 'without a type'}`,
      ),
  }),
  row({
    number: 15,
    level: 'MUST',
    title: 'the answer has the type of the request',
    expected: 'the same Content-Type for success and for 400',
    run: (target) =>
      shoot(
        target,
        combinations(target).flatMap(({ signal, encoding, label }) => [
          [label, post(signal, encoding, valid(target, signal, encoding))] as const,
          [`${label} broken`, post(signal, encoding, '{"broken')] as const,
        ]),
      ),
    judge: (shots) =>
      every(
        shots,
        (shot) => typeOf(shot.answer) === askedType(shot),
        ({ answer }) => `${answer.status} ${answer.headers['content-type'] ?? 'without a type'}`,
      ),
  }),
  row({
    number: 16,
    level: 'collector',
    title: 'another or no content type is refused',
    expected: '415',
    run: (target) => {
      const { path, body = plainText } = validPost(target);
      const types = ['text/plain', 'application/grpc', undefined];
      return shoot(
        target,
        types.map((type) => [
          type ?? 'no type',
          { path, body, headers: type === undefined ? {} : { 'content-type': type } },
        ]),
      );
    },
    judge: (shots) => every(shots, ({ answer }) => answer.status === 415),
  }),
  row({
    number: 17,
    level: 'MUST',
    title: 'plain and gzip bodies are taken',
    expected: '200 for both',
    run: (target) =>
      shoot(
        target,
        combinations(target).flatMap(({ signal, encoding, label }) => [
          [`${label} plain`, post(signal, encoding, valid(target, signal, encoding))] as const,
          [
            `${label} gzip`,
            post(signal, encoding, target.gzip(valid(target, signal, encoding)), gzipped),
          ] as const,
        ]),
      ),
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
  row({
    number: 18,
    level: 'collector',
    title: 'zstd bodies are taken, as the Collector takes them',
    expected: '200',
    run: (target) =>
      shoot(
        target,
        combinations(target).map(({ signal, encoding, label }) => [
          label,
          post(signal, encoding, target.zstd(valid(target, signal, encoding)), {
            'content-encoding': 'zstd',
          }),
        ]),
      ),
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
  row({
    number: 19,
    level: 'collector',
    title: 'an unknown Content-Encoding is refused for good',
    expected: '400 or 415 with a Status body',
    run: (target) => shoot(target, [['x-tidemark-check', encoded(target, 'x-tidemark-check')]]),
    judge: (shots) =>
      every(shots, ({ answer }) => [400, 415].includes(answer.status) && !!readStatus(answer)),
  }),
  mislabelled(20, 'gzip'),
  mislabelled(21, 'zstd'),
  row({
    number: 22,
    level: 'tidemark',
    title: 'gzip of several members is read whole; bytes after it are an error',
    expected: '200 for two members, 400 for what follows them',
    run: (target) => {
      const signal = signalOf(target);
      const body = valid(target, signal, encodingOf(target));
      // Half a message is no message: who reads only the first member cannot take it.
      const half = body.length >> 1;
      const members = join(target.gzip(body.subarray(0, half)), target.gzip(body.subarray(half)));
      const send = (bytes: Uint8Array) => post(signal, encodingOf(target), bytes, gzipped);
      return shoot(target, [
        ['two members', send(members)],
        ['then other bytes', send(join(members, plainText))],
      ]);
    },
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label === 'two members' ? isTaken(answer) : answer.status === 400,
      ),
  }),
  row({
    number: 23,
    level: 'collector',
    title: 'no content type and a bad encoding: the Status is JSON',
    expected: '4xx with a Status in JSON',
    run: (target) =>
      shoot(target, [
        ['no type, gzip', { path: pathOf(signalOf(target)), headers: gzipped, body: plainText }],
      ]),
    judge: (shots) =>
      every(
        shots,
        ({ answer }) =>
          isClientFault(answer) && typeOf(answer) === mediaTypes.json && !!readStatus(answer),
      ),
  }),
  row({
    number: 24,
    level: 'MAY',
    title: 'answers may be compressed for who accepts it, and say so',
    expected: 'Content-Encoding: gzip and a gzip body, or neither',
    run: async (target) => {
      const request = post(signalOf(target), encodingOf(target), '{"broken', {
        'accept-encoding': 'gzip',
      });
      const answer = await target.send(request);
      return { answer, plain: plainAnswer(target, answer) };
    },
    judge: ({ answer, plain }) => {
      const encoding = answer.headers['content-encoding'] ?? 'none';
      const seen = `Content-Encoding: ${encoding}`;
      if (answer.status === 0) return fail(describeAnswer(answer));
      return plain && (readStatus(plain) ?? readExport(plain))
        ? pass(seen)
        : fail(`${seen}, and the body cannot be read`);
    },
  }),
  sizeRow(25, 'MUST', 'the size of bodies is limited, also after decompression', {
    expected: 'a body that inflates to 256 MiB is not taken',
    judge: (limit) =>
      limit.refused
        ? pass(`${tell(limit)} (recommended: ${recommendedBytes})`)
        : fail(`a body of ${absurdBytes} bytes is taken`),
  }),
  sizeRow(26, 'MUST', 'past the limit the answer is 413', {
    expected: '413',
    judge: ({ refused }) => {
      if (!refused) return notApplicable('no limit was found');
      const seen = describeAnswer(refused.answer);
      return refused.answer.status === 413 ? pass(seen) : fail(seen);
    },
  }),
  row({
    number: 27,
    level: 'tidemark',
    title: 'a body that inflates a thousandfold does no harm',
    expected: 'an answer of 4xx, and 200 for the next request',
    run: async (target) => {
      const signal = signalOf(target);
      // Twice compressed: nobody may follow an encoding that was not named.
      const { body = plainText } = sized(target, signal, recommendedBytes + 1);
      const nested = post(signal, 'protobuf', target.gzip(body), gzipped);
      return shoot(target, [
        ['bomb', sized(target, signal, recommendedBytes + 1)],
        ['bomb in gzip', nested],
        ['next', validPost(target)],
      ]);
    },
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label === 'next' ? isTaken(answer) : isClientFault(answer),
      ),
  }),
  row({
    number: 28,
    level: 'tidemark',
    title: 'a Content-Length past the limit is refused before the body has come',
    expected: '413 without waiting for the body',
    run: (target) =>
      shoot(target, [['1 TiB promised', { ...validPost(target), framing: promisedBytes }]]),
    judge: (shots) => every(shots, ({ answer }) => answer.status === 413),
  }),
  row({
    number: 29,
    level: 'collector',
    title: 'a body without a length (chunked) is taken, and limited',
    expected: '200, and 4xx for one that inflates past the limit',
    run: async (target) => {
      const { refused } = await findLimit(target, signalOf(target));
      const bytes = refused?.bytes ?? 0;
      const large = bytes > 0 ? [['large', sized(target, signalOf(target), bytes)] as const] : [];
      const requests = [['small', validPost(target)] as const, ...large];
      return shoot(
        target,
        requests.map(([label, send]) => [label, { ...send, framing: 'chunked' as const }]),
      );
    },
    judge: (shots) =>
      every(shots, ({ label, answer }) =>
        label === 'small' ? isTaken(answer) : isClientFault(answer),
      ),
  }),
  sizeRow(30, 'collector', 'a body of exactly the limit is taken, one byte more is not', {
    expected: 'a sharp limit',
    judge: (limit) => {
      if (!limit.refused) return notApplicable('no limit was found');
      const isSharp = limit.refused.bytes === limit.takenBytes + 1;
      return isSharp ? pass(tell(limit)) : fail(tell(limit));
    },
  }),
];

const gzipped = { 'content-encoding': 'gzip' };

function tell({ takenBytes, refused }: Limit): string {
  const seen = `${takenBytes} bytes are taken`;
  return refused ? `${seen}, ${refused.bytes} are ${describeAnswer(refused.answer)}` : seen;
}

function sizeRow(
  number: number,
  level: Row['level'],
  title: string,
  { expected, judge }: { expected: string; judge: (limit: Limit) => Judgement },
): Row {
  return row({
    number,
    level,
    title,
    expected,
    run: async (target) =>
      target.encodings.includes('protobuf') ? findLimit(target, signalOf(target)) : undefined,
    judge: (limit) => (limit ? judge(limit) : notApplicable('it does not take protobuf')),
  });
}

function mislabelled(number: number, encoding: string): Row {
  return row({
    number,
    level: 'collector',
    title: `a body marked ${encoding} that is none is 400`,
    expected: '400 with a Status of code 3 in the type of the request',
    run: (target) =>
      shoot(
        target,
        combinations(target).map(({ signal, encoding: type, label }) => [
          label,
          post(signal, type, plainText, { 'content-encoding': encoding }),
        ]),
      ),
    judge: (shots) =>
      every(
        shots,
        (shot) =>
          shot.answer.status === 400 &&
          typeOf(shot.answer) === askedType(shot) &&
          readStatus(shot.answer)?.code === 3,
      ),
  });
}

function signalOf(target: Target): Signal {
  return target.signals[0] ?? 'traces';
}

function encodingOf(target: Target) {
  return target.encodings[0] ?? 'protobuf';
}

function validPost(target: Target): Send {
  const [signal, encoding] = [signalOf(target), encodingOf(target)];
  return post(signal, encoding, valid(target, signal, encoding));
}

function encoded(target: Target, encoding: string): Send {
  const signal = signalOf(target);
  const body = requestBytes(itemBytes(target, signal));
  return post(signal, 'protobuf', body, { 'content-encoding': encoding });
}
