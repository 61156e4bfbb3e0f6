/**
 * Makes one call to a Kafka REST proxy and says what became of each record. It never throws and
 * never retries: what is not stored goes to the spool, which is as good.
 */
import { produceAnswerBytesMax, produceWholeAnswerBytesMax } from '../../schemas/limits.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { InsertTools } from '../insert.ts';
import { bodyOf } from './proxy.ts';
import type { ProduceRecord, Proxy } from './proxy.ts';
import { fatesV2, fatesV3 } from './report.ts';
import type { Fate, ProxyAnswer } from './report.ts';
import { streamed } from '../stream.ts';

export interface Produced {
  /** One a record, in order. */
  readonly fates: readonly Fate[];
  /** Whether the proxy as a whole is at fault: it will not take the next call either. */
  readonly isFaulty: boolean;
  /** For the log: what the proxy did, without its text, which may quote a record. */
  readonly what: string;
}

/** Produces `records` to `topic` in one call. Give it as many as the proxy's limits allow. */
export async function produce(
  topic: string,
  records: readonly ProduceRecord[],
  proxy: Proxy,
  settings: Pick<Settings, 'TIDEMARK_SINK_TIMEOUT_MS'>,
  tools: InsertTools,
): Promise<Produced> {
  const body = bodyOf(proxy.version, records, tools.copiesBodies?.() ?? false);
  let answer: ProxyAnswer;
  try {
    const response = await tools.fetch(proxy.urlOf(topic), {
      method: 'POST',
      headers: proxy.headers,
      body: streamed(body),
      redirect: 'manual',
      signal: tools.timeout(settings.TIDEMARK_SINK_TIMEOUT_MS),
    });
    answer = await read(response);
  } catch {
    const fates = records.map((): Fate => 'unknown');
    return { fates, isFaulty: true, what: 'did not answer' };
  }
  const fates = (proxy.version === 'v3' ? fatesV3 : fatesV2)(answer, records.length);
  return {
    fates,
    isFaulty: !fates.includes('stored') && !isAboutTheRequest(answer.status),
    what: `answered ${answer.status}${answer.isCut ? ', cut off' : ''}`,
  };
}

/** An unknown topic or a body that is too large is no reason to spare the proxy other calls. */
function isAboutTheRequest(status: number): boolean {
  return status === 404 || status === 413;
}

/** Reads the answer up to its bound, and keeps what came of one that breaks off. */
async function read(response: Response): Promise<ProxyAnswer> {
  const { status } = response;
  // HTTP ends the body there, so that it can be read at once: turns of a stream cost.
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  if (length <= produceWholeAnswerBytesMax) {
    const whole = await response.text().catch(() => undefined);
    return { status, text: whole ?? '', isCut: whole === undefined };
  }
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  let isCut = false;
  if (response.body !== null) {
    const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        bytes += value.length;
        if (bytes > produceAnswerBytesMax) {
          isCut = true;
          await reader.cancel();
          break;
        }
        text += decoder.decode(value, { stream: true });
      }
    } catch {
      isCut = true;
    }
  }
  return { status, text, isCut };
}
