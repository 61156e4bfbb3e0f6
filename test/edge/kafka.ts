/**
 * A Kafka REST proxy for tests, in both produce dialects, that goes wrong on demand. It reads what
 * it gets with JSON.parse and atob, and keeps what it stored.
 */

/** A record as Kafka would hold it. */
export interface KafkaRecord {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  /** v3 alone carries headers. */
  readonly headers: Readonly<Record<string, string>>;
}

export type KafkaMode =
  | 'up'
  /** Answers 503. */
  | 'failing'
  /** Refuses every second record and stores the others; says so as Confluent does, or Karapace. */
  | 'partly'
  | 'karapace'
  /** Stores everything and never says so. */
  | 'slow'
  /** Stores everything and drops the connection in the middle of its answer. */
  | 'dropping'
  /** Some other proxy answers 200 with a page. */
  | 'page';

/** A call that this proxy got. */
export interface KafkaCall {
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

export class KafkaProxy {
  mode: KafkaMode = 'up';
  readonly stored: KafkaRecord[] = [];
  readonly calls: KafkaCall[] = [];
  #records = 0;

  /** Answers one produce call; `never` is for a call that gets no answer. */
  async answer(url: string, init: RequestInit, never: () => Promise<Response>): Promise<Response> {
    const body = await new Response(init.body).text();
    const headers = new Headers(init.headers);
    this.calls.push({ url, headers, body });
    const isV3 = url.includes('/v3/');
    if (this.mode === 'failing') return new Response('{"error_code":50302}', { status: 503 });
    if (this.mode === 'page') return new Response('<html>{"offsets":[]} log in</html>');
    const records = isV3 ? readV3(url, body) : readV2(url, headers, body);
    const results = records.map((record) => this.#store(record));
    if (this.mode === 'slow') return never();
    if (isV3) return this.#reports(results);
    if (this.mode === 'dropping') return new Response(cutStream('{"offsets":[{"partition":0,'));
    return offsets(results, this.mode);
  }

  /** The offset of a record, or undefined when it was refused. */
  #store(record: KafkaRecord): number | undefined {
    this.#records += 1;
    const refuses = this.mode === 'partly' || this.mode === 'karapace';
    if (refuses && this.#records % 2 === 0) return undefined;
    return this.stored.push(record) - 1;
  }

  /** v3: a report for each record, one after the other; a stream that is cut ends within the last. */
  #reports(results: readonly (number | undefined)[]): Response {
    const reports = results.map((offset) =>
      offset === undefined
        ? '{"error_code":500,"message":"cannot produce: } {"}'
        : `{"error_code":200,"cluster_id":"c}1","topic_name":"t","partition_id":0,"offset":${offset}}`,
    );
    const text = reports.join('\n');
    return new Response(this.mode === 'dropping' ? cutStream(text.slice(0, -20)) : text);
  }
}

/** v2: Confluent gives each entry its error or null with status 200; Karapace 422, and no nulls. */
function offsets(results: readonly (number | undefined)[], mode: KafkaMode): Response {
  const isKarapace = mode === 'karapace';
  const entries = results.map((offset) => {
    if (offset === undefined) {
      const error = { error_code: isKarapace ? 2 : 50003, error: 'cannot produce' };
      return isKarapace ? error : { partition: null, offset: null, ...error };
    }
    return { partition: 0, offset, ...(isKarapace ? {} : { error_code: null, error: null }) };
  });
  const failed = results.includes(undefined);
  const status = isKarapace && failed ? 422 : 200;
  const body = { key_schema_id: null, value_schema_id: null, offsets: entries };
  return Response.json(body, { status });
}

function readV2(url: string, headers: Headers, body: string): KafkaRecord[] {
  const topic = /\/topics\/([^/]+)$/.exec(url)?.[1] ?? '';
  if (headers.get('content-type') !== 'application/vnd.kafka.binary.v2+json')
    throw new Error('415');
  const { records } = JSON.parse(body) as { records: { key: string; value: string }[] };
  return records.map(({ key, value }) => ({
    topic,
    key: atob(key),
    value: bytesOf(value),
    headers: {},
  }));
}

interface RecordV3 {
  readonly key: { readonly type: string; readonly data: string };
  readonly value: { readonly type: string; readonly data: string };
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

function readV3(url: string, body: string): KafkaRecord[] {
  const topic = /\/v3\/clusters\/[^/]+\/topics\/([^/]+)\/records$/.exec(url)?.[1] ?? '';
  return body.split('\n').map((line) => {
    const { key, value, headers } = JSON.parse(line) as RecordV3;
    if (key.type !== 'BINARY' || value.type !== 'BINARY') throw new Error('422');
    return {
      topic,
      key: atob(key.data),
      value: bytesOf(value.data),
      headers: Object.fromEntries(headers.map((header) => [header.name, atob(header.value)])),
    };
  });
}

/** A stream that gives `text` and then breaks off. */
function cutStream(text: string): ReadableStream<Uint8Array> {
  let isGiven = false;
  return new ReadableStream({
    pull(controller) {
      if (isGiven) controller.error(new Error('connection reset'));
      else controller.enqueue(new TextEncoder().encode(text));
      isGiven = true;
    },
  });
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
