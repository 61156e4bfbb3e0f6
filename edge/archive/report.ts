/**
 * Reads what a Kafka REST proxy says about each record of a call. A record counts as stored only
 * when the proxy says so in so many words: proxies answer 200 when records failed.
 */

/** What became of a record; `unknown` may be stored, and is treated as if it were not. */
export type Fate = 'stored' | 'failed' | 'unknown';

/** An answer as far as it came. */
export interface ProxyAnswer {
  readonly status: number;
  readonly text: string;
  /** True when the connection ended, or the answer was too long, before its end. */
  readonly isCut: boolean;
}

/**
 * The fate of each of `count` records. v2 (Confluent, Karapace, Strimzi): `offsets` has one entry a
 * record in order, with status 200, or 422 where records failed; an entry is good without an error
 * and with an offset that is not negative.
 */
export function fatesV2(answer: ProxyAnswer, count: number): Fate[] {
  const body = jsonOf(answer.text);
  const offsets = isObject(body) ? body['offsets'] : undefined;
  const speaks = (answer.status === 200 || answer.status === 422) && !answer.isCut;
  // With fewer entries than records nobody can say whose they are.
  if (!speaks || !Array.isArray(offsets) || offsets.length !== count) return all(count, answer);
  return offsets.map((entry: unknown) => {
    if (!isObject(entry)) return 'unknown';
    const { error_code: code, error, offset } = entry;
    if ((code !== undefined && code !== null) || (error !== undefined && error !== null)) {
      return 'failed';
    }
    return isOffset(offset) ? 'stored' : 'unknown';
  });
}

/**
 * v3 (Confluent): status 200 once the stream is up, then one report a record in order, concatenated
 * JSON, each with its own `error_code`, 200 for stored. Of a stream that was cut, the reports that
 * came count.
 */
export function fatesV3(answer: ProxyAnswer, count: number): Fate[] {
  if (answer.status !== 200) return all(count, answer);
  const reports = objectsOf(answer.text).map(jsonOf);
  if (reports.length > count || (reports.length < count && !answer.isCut)) {
    return all(count, answer);
  }
  return Array.from({ length: count }, (_, index): Fate => {
    const report = reports[index];
    if (!isObject(report) || typeof report['error_code'] !== 'number') return 'unknown';
    if (report['error_code'] !== 200) return 'failed';
    return isOffset(report['offset']) ? 'stored' : 'unknown';
  });
}

/** Nothing is known to be stored; an error of the client's means that nothing is. */
function all(count: number, { status }: ProxyAnswer): Fate[] {
  const fate = status >= 400 && status < 500 ? 'failed' : 'unknown';
  return Array.from({ length: count }, () => fate);
}

/** The texts of the JSON objects that stand one after the other; a last one that is cut is left. */
function objectsOf(text: string): string[] {
  const objects: string[] = [];
  let depth = 0;
  let from = 0;
  // Strings whole, so that braces in them do not count.
  for (const { 0: mark, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/gs)) {
    if (mark === '{') {
      if (depth === 0) from = index;
      depth += 1;
    } else if (mark === '}' && depth > 0) {
      depth -= 1;
      if (depth === 0) objects.push(text.slice(from, index + 1));
    }
  }
  return objects;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isOffset(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
