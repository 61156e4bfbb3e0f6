/**
 * What a row of the scorecard is: a rule of OTLP/HTTP, how to provoke an observation and how to
 * judge it. Rows are data: they reach an endpoint only through the `Target` that they are given.
 */

export type Signal = 'traces' | 'metrics' | 'logs';

export type Encoding = 'protobuf' | 'json';

/**
 * How binding a rule is. MUST, SHOULD and MAY are the specification's words; `proto` is a comment
 * in the `.proto` files, `collector` what the OpenTelemetry Collector does, and `tidemark` what
 * Tidemark decided where the specification is silent. Only a broken MUST makes a check fail.
 */
export const levels = ['MUST', 'SHOULD', 'MAY', 'proto', 'collector', 'tidemark'] as const;

export type Level = (typeof levels)[number];

/**
 * `differs` is a `fail` of a rule that nobody has to follow; `n/a` cannot be judged at this
 * endpoint or from outside at all; `skipped` was not tried.
 */
export const verdicts = ['pass', 'fail', 'differs', 'n/a', 'skipped'] as const;

export type Verdict = (typeof verdicts)[number];

export interface Judgement {
  readonly verdict: 'pass' | 'fail' | 'n/a';
  /** What was seen, or why it cannot be judged. */
  readonly seen: string;
  /** When what failed is less binding than the row's own level. */
  readonly level?: Level;
}

export interface Send {
  /** @default 'POST' */
  readonly method?: string;
  /** Path under the endpoint, such as `/v1/traces`. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Leaves out what the user gives with each request, such as credentials. */
  readonly isAnonymous?: boolean;
  /**
   * `chunked` sends the body without its length; a number is a Content-Length that lies: that
   * many bytes are promised, and only the body comes.
   */
  readonly framing?: 'chunked' | number;
}

export interface Answer {
  /** 0 when there was no answer. */
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Why there was no answer. */
  readonly lost?: string;
}

/** An endpoint, and what rows need to talk to it. */
export interface Target {
  /** Never rejects: a request without an answer has status 0. */
  readonly send: (request: Send) => Promise<Answer>;
  /** What was sent so far, and what came back. */
  readonly transcript: readonly Exchange[];
  readonly url: URL;
  /** What the endpoint takes, as the first requests have shown. */
  readonly signals: readonly Signal[];
  readonly encodings: readonly Encoding[];
  /** Largest inflated body that `findLimit` has found, once it has. */
  readonly limits: Map<string, Promise<Limit>>;
  readonly nowNs: () => bigint;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly gzip: (bytes: Uint8Array) => Uint8Array;
  readonly gunzip: (bytes: Uint8Array) => Uint8Array;
  readonly zstd: (bytes: Uint8Array) => Uint8Array;
  /** The protocol that a TLS endpoint chooses when offered HTTP/2; absent without TLS. */
  readonly protocol?: () => Promise<string>;
}

/** What bodies the endpoint takes. */
export interface Limit {
  /** The largest inflated body that was taken. */
  readonly takenBytes: number;
  /** The smallest that was not, and its answer; absent when all that was tried was taken. */
  readonly refused?: { readonly bytes: number; readonly answer: Answer };
}

export interface Exchange {
  readonly request: Send;
  readonly answer: Answer;
}

export interface Row {
  readonly number: number;
  readonly level: Level;
  /** The rule in short. */
  readonly title: string;
  readonly expected: string;
  /** Looks at the answers to all other rows, and so comes last. */
  readonly isLast: boolean;
  readonly check: (target: Target) => Promise<Judgement>;
}

interface Head {
  readonly number: number;
  readonly level: Level;
  readonly title: string;
  readonly expected: string;
  readonly isLast?: boolean;
}

/** A row: `run` provokes and observes, `judge` decides without looking at the endpoint again. */
export function row<Observation>(
  head: Head & {
    readonly run: (target: Target) => Promise<Observation>;
    readonly judge: (observation: Observation) => Judgement;
  },
): Row {
  const { run, judge, isLast = false, ...rest } = head;
  return { ...rest, isLast, check: async (target) => judge(await run(target)) };
}

/** A row that nothing seen from outside can decide. */
export function unseen(head: Head & { readonly why: string }): Row {
  const { why, ...rest } = head;
  return row({ ...rest, run: async () => why, judge: notApplicable });
}

export function pass(seen: string): Judgement {
  return { verdict: 'pass', seen };
}

export function fail(seen: string, level?: Level): Judgement {
  return { verdict: 'fail', seen, ...(level !== undefined && { level }) };
}

export function notApplicable(seen: string): Judgement {
  return { verdict: 'n/a', seen };
}
