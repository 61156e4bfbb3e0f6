/**
 * Answers of the read API that are no data: problem details (RFC 9457). It decides which status an
 * error has there.
 */
import { ThrottleError, TidemarkError } from '../../schemas/errors.ts';
import type { ErrorCode } from '../../schemas/errors.ts';
import { retryAfterSeconds } from '../../schemas/limits.ts';

/** One fault of one parameter. */
export interface ParameterFault {
  readonly parameter: string;
  readonly detail: string;
}

const statuses: Partial<Record<ErrorCode, readonly [number, string]>> = {
  UNAUTHENTICATED: [401, 'No valid API key'],
  FORBIDDEN: [403, 'Not allowed'],
  NOT_FOUND: [404, 'Not found'],
  CAPACITY: [422, 'Too much'],
  THROTTLED: [429, 'Too many requests'],
};

/** The answer to an error; one that is no `TidemarkError` is a bug, and its text stays inside. */
export function problemOf(error: unknown): Response {
  if (!(error instanceof TidemarkError))
    return problem(500, 'Bug', 'Cannot answer: a bug of Tidemark');
  const [status, title] = statuses[error.code] ?? [503, 'Unavailable'];
  const answer = problem(status, title, error.message);
  const pause = error instanceof ThrottleError ? error.retryAfterSeconds : retryAfterSeconds;
  if (status === 429 || status === 503) answer.headers.set('Retry-After', String(pause));
  if (status === 401) answer.headers.set('WWW-Authenticate', 'Bearer');
  return answer;
}

/** 400 for parameters that cannot be used. */
export function badParameters(faults: readonly ParameterFault[]): Response {
  const names = faults.map(({ parameter, detail }) => `${parameter}: ${detail}`).join('; ');
  return problem(400, 'Bad parameters', `Cannot use the parameters: ${names}`, { faults });
}

/** 405 for a method that a resource does not have: there is nothing to write here. */
export function wrongMethod(method: string): Response {
  const answer = problem(405, 'Method not allowed', `Cannot serve ${method} here: use GET`);
  answer.headers.set('Allow', 'GET, HEAD, OPTIONS');
  return answer;
}

/** Problem details without a type of their own; `title` says which kind it is. */
export function problem(
  status: number,
  title: string,
  detail: string,
  more: Readonly<Record<string, unknown>> = {},
): Response {
  return new Response(JSON.stringify({ title, status, detail, ...more }), {
    status,
    headers: { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' },
  });
}
