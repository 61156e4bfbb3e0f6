/**
 * Sends the variants of one rule and judges their answers alike: most rows are a list of labelled
 * requests and a condition that every answer must hold.
 */
import { describeAnswer } from './answer.ts';
import { mediaTypes, post, valid } from './payload.ts';
import { fail, notApplicable, pass } from './row.ts';
import type { Answer, Encoding, Exchange, Judgement, Send, Signal, Target } from './row.ts';

/** A request and its answer. */
export interface Shot {
  readonly label: string;
  readonly request: Send;
  readonly answer: Answer;
}

/** Sends one request after the other: an endpoint under check is not to be loaded. */
export async function shoot(
  target: Target,
  requests: readonly (readonly [label: string, request: Send])[],
): Promise<Shot[]> {
  const shots: Shot[] = [];
  for (const [label, request] of requests) {
    shots.push({ label, request, answer: await target.send(request) });
  }
  return shots;
}

/** Every signal in every encoding that the endpoint takes. */
export function combinations(
  target: Target,
): { signal: Signal; encoding: Encoding; label: string }[] {
  return target.signals.flatMap((signal) =>
    target.encodings.map((encoding) => ({ signal, encoding, label: `${signal} ${encoding}` })),
  );
}

/** The media type that a shot's request had. */
export function askedType({ request }: Shot): string {
  const type = request.headers?.['content-type'] ?? '';
  return type.split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Passes when each answer holds; says what was seen, of those that do not hold if there are any. */
export function every(
  shots: readonly Shot[],
  holds: (shot: Shot) => boolean,
  describe: (shot: Shot) => string = ({ answer }) => describeAnswer(answer),
): Judgement {
  if (shots.length === 0) return notApplicable('the endpoint takes nothing of this kind');
  const wrong = shots.filter((shot) => !holds(shot));
  if (wrong.length === 0) return pass(summarize(shots, describe, 'all'));
  return fail(summarize(wrong, describe, wrong.length === shots.length ? 'all' : 'some'));
}

/** Labels that are written out before the rest is only counted. */
const labelsShown = 4;

/** Answers that read alike are told once, with their labels, or their number when `which` is all. */
export function summarize(
  shots: readonly Shot[],
  describe: (shot: Shot) => string = ({ answer }) => describeAnswer(answer),
  which: 'all' | 'some' = 'some',
): string {
  const labels = new Map<string, string[]>();
  for (const shot of shots) {
    const text = describe(shot);
    labels.set(text, [...(labels.get(text) ?? []), shot.label]);
  }
  const isAll = which === 'all' && labels.size === 1;
  return [...labels]
    .map(([text, names]) => `${isAll ? allOf(names) : list(names)}: ${text}`)
    .join('; ');
}

function allOf(names: readonly string[]): string {
  return names.length <= labelsShown ? names.join(', ') : `all ${names.length}`;
}

function list(names: readonly string[]): string {
  if (names.length <= labelsShown) return names.join(', ');
  return `${names.slice(0, labelsShown - 1).join(', ')} and ${names.length - labelsShown + 1} more`;
}

/** True when `type` is one of OTLP's. */
export function isOtlpType(type: string): boolean {
  return type === mediaTypes.protobuf || type === mediaTypes.json;
}

/** A valid request for each combination. */
export function validShots(target: Target) {
  return combinations(target).map(
    ({ signal, encoding, label }) =>
      [label, post(signal, encoding, valid(target, signal, encoding))] as const,
  );
}

/** Bodies that nobody can decode. */
export function faultyShots(target: Target) {
  return combinations(target).map(
    ({ signal, encoding, label }) => [label, post(signal, encoding, '{"broken')] as const,
  );
}

/** Requests that were sent before, as shots. */
export function shotsOf(transcript: readonly Exchange[]): Shot[] {
  return transcript.map(({ request, answer }) => ({
    label: `${request.method ?? 'POST'} ${request.path}`,
    request,
    answer,
  }));
}

/** One of each status. */
export function exemplars(shots: readonly Shot[]): string {
  const byStatus = new Map(shots.map((shot) => [shot.answer.status, shot]));
  return summarize([...byStatus.values()]);
}
