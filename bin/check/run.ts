/**
 * The check's conductor: finds out what an endpoint takes, runs the rows one after the other and
 * collects what they found. It reaches the endpoint only through the `Connection` that it is given.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { describeAnswer, isTaken, plainAnswer } from './answer.ts';
import { encodings, post, signals, valid } from './payload.ts';
import type {
  Answer,
  Encoding,
  Exchange,
  Judgement,
  Level,
  Row,
  Send,
  Signal,
  Target,
  Verdict,
} from './row.ts';

/** What a check needs from its surroundings. */
export type Connection = Pick<
  Target,
  'send' | 'url' | 'nowNs' | 'randomBytes' | 'gzip' | 'gunzip' | 'zstd' | 'protocol'
>;

/** One line of the scorecard. */
export interface Outcome {
  readonly row: number;
  /** Of the row, or of the part of it that failed. */
  readonly level: Level;
  readonly title: string;
  readonly verdict: Verdict;
  readonly expected: string;
  readonly seen: string;
}

export interface CheckOptions {
  readonly rows: readonly Row[];
  /** Numbers of the rows to run; the others are skipped. @default all */
  readonly only?: ReadonlySet<number>;
  /** Told before each row. */
  readonly onRow?: (row: Row) => void;
  /** Ends the check between two rows. */
  readonly signal?: AbortSignal;
}

/**
 * Runs the rows and returns an outcome for each, in the order of their numbers. Throws as
 * `openTarget` does.
 */
export async function check(connection: Connection, options: CheckOptions): Promise<Outcome[]> {
  const target = await openTarget(connection);
  const outcomes: Outcome[] = [];
  for (const row of inOrder(options.rows)) {
    options.signal?.throwIfAborted();
    if (options.only && !options.only.has(row.number)) {
      outcomes.push(toOutcome(row, { verdict: 'skipped', seen: 'not asked for' }));
    } else {
      options.onRow?.(row);
      outcomes.push(await checkRow(row, target));
    }
  }
  return outcomes.toSorted((a, b) => a.row - b.row);
}

/** The rows in the order in which they are to be run. */
export function inOrder(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => Number(a.isLast) - Number(b.isLast) || a.number - b.number);
}

/** Runs one row. */
export async function checkRow(row: Row, target: Target): Promise<Outcome> {
  return toOutcome(row, await row.check(target));
}

type Judged = Judgement | { readonly verdict: 'skipped'; readonly seen: string };

function toOutcome(row: Row, judged: Judged): Outcome {
  const level = ('level' in judged ? judged.level : undefined) ?? row.level;
  const isBinding = level === 'MUST' || level === 'SHOULD';
  const verdict = judged.verdict === 'fail' && !isBinding ? 'differs' : judged.verdict;
  const { number, title, expected } = row;
  return { row: number, level, title, verdict, expected, seen: judged.seen };
}

/**
 * A target that writes down what it sends, and knows what the endpoint takes. Throws NOT_FOUND when
 * it takes nothing, and UNAUTHENTICATED when it asks for credentials that were not given.
 */
export async function openTarget(connection: Connection): Promise<Target> {
  const transcript: Exchange[] = [];
  const send = async (request: Send): Promise<Answer> => {
    const answer = await connection.send(request);
    transcript.push({ request, answer: plainAnswer(connection, answer) ?? answer });
    return answer;
  };
  const target = { ...connection, send, transcript, limits: new Map() };
  const taken = await probe({ ...target, signals, encodings });
  return { ...target, ...taken };
}

/** Which signals and encodings a valid request of one item gets a 200 for. */
async function probe(target: Target): Promise<Pick<Target, 'signals' | 'encodings'>> {
  const found: { signal: Signal; encoding: Encoding }[] = [];
  const answers: Answer[] = [];
  for (const signal of signals) {
    for (const encoding of encodings) {
      const answer = await target.send(post(signal, encoding, valid(target, signal, encoding)));
      answers.push(answer);
      if (isTaken(answer)) found.push({ signal, encoding });
    }
  }
  if (found.length === 0) throw unusable(target, answers);
  return {
    signals: signals.filter((name) => found.some(({ signal }) => signal === name)),
    encodings: encodings.filter((name) => found.some(({ encoding }) => encoding === name)),
  };
}

function unusable(target: Target, answers: readonly Answer[]): TidemarkError {
  const [first] = answers;
  const seen = first ? describeAnswer(first) : 'nothing';
  const isLocked = answers.some(({ status }) => status === 401 || status === 403);
  const code = isLocked ? 'UNAUTHENTICATED' : 'NOT_FOUND';
  const hint = isLocked ? '; give credentials with --header' : '';
  return new TidemarkError(
    code,
    `Cannot check ${target.url.origin}: it takes no signal under /v1/, and says: ${seen}${hint}`,
  );
}
