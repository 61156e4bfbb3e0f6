/**
 * The Kafka REST gateway: Confluent's v2 and v3 produce endpoints over one Kafka cluster, for stacks
 * that have no REST proxy. Calls its steps in order (admit → read → place → batch → answer). A
 * record counts as stored when all in-sync replicas have it. Has no TLS of its own, keeps nothing.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Registry } from 'prom-client';
import { RestError, TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits.ts';
import * as kafkaLimits from '../schemas/limits/kafka.ts';
import type { Settings } from '../schemas/settings.ts';
import { partitionIndex } from './clients/kafka/kafka.ts';
import type { Kafka } from './clients/kafka/kafka.ts';
import type { KafkaLog } from './clients/kafka/login.ts';
import { readAdmit } from './gateway/admit.ts';
import type { Admit } from './gateway/admit.ts';
import { Batcher } from './gateway/batch.ts';
import type { Send } from './gateway/batch.ts';
import { answerType, binaryAnswer, binaryType, readBinary } from './gateway/binary.ts';
import { readBody } from './gateway/body.ts';
import { Connection } from './gateway/connect.ts';
import { gatewayCounters } from './gateway/counters.ts';
import type { GatewayCounters } from './gateway/counters.ts';
import { Placer } from './gateway/place.ts';
import type { Pick as PickPartition } from './gateway/place.ts';
import type { GatewayRecord, Outcome, Reservation } from './gateway/record.ts';
import { InFlight } from './gateway/reserve.ts';
import { routeOf } from './gateway/route.ts';
import type { Route } from './gateway/route.ts';
import { answerStream } from './gateway/stream.ts';
import { listenOn } from './listen.ts';

export type GatewaySettings = Pick<
  Settings,
  | 'TIDEMARK_KAFKA_REST_HOST'
  | 'TIDEMARK_KAFKA_REST_PORT'
  | 'TIDEMARK_KAFKA_REST_BODY_BYTES_MAX'
  | 'TIDEMARK_KAFKA_REST_IN_FLIGHT_BYTES_MAX'
  | 'KAFKA_REST_USER'
  | 'KAFKA_REST_PASSWORD'
  | 'KAFKA_REST_TOKEN'
>;

export interface GatewayOptions {
  readonly kafka: Kafka;
  readonly settings: GatewaySettings;
  readonly log: KafkaLog;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number;
  /** Where the metrics go; `/metrics` shows all that is in it. */
  readonly registry?: Registry;
}

export interface Gateway {
  /** Where it listens, such as `http://127.0.0.1:8082`. */
  readonly url: string;
  /** Takes nothing new, answers what was read, and closes; safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts the gateway, also while Kafka is away. Throws `SettingError` for settings that would let
 * strangers in, PORT_TAKEN when it cannot listen.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const handler = new Handler(options);
  const server = createServer(
    { keepAliveTimeout: kafkaLimits.gatewayIdleMs, requestTimeout: 0 },
    (message, response) => void handler.handle(message, response),
  );
  server.setTimeout(kafkaLimits.gatewayIdleMs);
  server.maxConnections = kafkaLimits.gatewayConnectionsMax;
  const { TIDEMARK_KAFKA_REST_HOST: host, TIDEMARK_KAFKA_REST_PORT: port } = options.settings;
  const hint = 'choose another with --port';
  const url = await listenOn(server, { host, port, what: 'Kafka REST', hint });
  let closed: Promise<void> | undefined;
  return {
    url,
    close: () => (closed ??= close(server, handler)),
  };
}

async function close(server: Server, handler: Handler): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  handler.stop();
  const late = setTimeout(() => server.closeAllConnections(), kafkaLimits.gatewayStopMsMax);
  await closed;
  clearTimeout(late);
  await handler.close();
}

class Handler {
  readonly #options: GatewayOptions;
  readonly #admit: Admit;
  readonly #connection: Connection;
  readonly #registry: Registry;
  readonly #counters: GatewayCounters;
  readonly #inFlight: InFlight;
  readonly #placer: Placer;
  readonly #batcher: Batcher;
  readonly #stopping = new AbortController();
  readonly #answering = new Set<ServerResponse>();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#registry = options.registry ?? new Registry();
    this.#admit = readAdmit(options.settings);
    this.#connection = new Connection(options.kafka);
    this.#inFlight = new InFlight(options.settings.TIDEMARK_KAFKA_REST_IN_FLIGHT_BYTES_MAX);
    this.#counters = gatewayCounters(this.#registry, () => this.#inFlight.bytes);
    this.#placer = new Placer({
      partitions: async (topic) => (await this.#connection.admin()).partitions(topic),
      indexOf: partitionIndex,
      now: options.now,
    });
    this.#batcher = new Batcher(this.#send);
  }

  /** Reads no more records; every connection ends with the answer that it waits for. */
  stop(): void {
    this.#stopping.abort();
    for (const response of this.#answering) {
      if (!response.headersSent) response.setHeader('connection', 'close');
    }
  }

  async close(): Promise<void> {
    await this.#connection.close().catch((error: unknown) => {
      this.#options.log.warn({ reason: reasonOf(error) }, 'Kafka did not take leave');
    });
  }

  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(message.method ?? '', message.url ?? '');
    const reservation = this.#inFlight.open();
    this.#answering.add(response);
    response.once('close', () => this.#answering.delete(response));
    if (this.#stopping.signal.aborted) response.setHeader('connection', 'close');
    try {
      await this.#answer(route, message, response, reservation);
    } catch (error) {
      this.#refuse(response, error);
    } finally {
      reservation.release();
      this.#counters.requests.inc({ route: route.name, status: response.statusCode });
      drain(message);
    }
  }

  async #answer(
    route: Route,
    message: IncomingMessage,
    response: ServerResponse,
    reservation: Reservation,
  ): Promise<void> {
    const isOpen = route.name === 'healthz' || route.name === 'readyz';
    if (!isOpen && !this.#admit(message.headers.authorization)) {
      response.setHeader('www-authenticate', 'Basic realm="tidemark"');
      throw new RestError(401, 401, 'Unauthorized');
    }
    switch (route.name) {
      case 'healthz':
        return send(response, 200, 'text/plain', 'ok\n');
      case 'readyz':
        return this.#answerReady(response);
      case 'metrics':
        return send(response, 200, this.#registry.contentType, await this.#registry.metrics());
      case 'topics':
        return this.#answerTopics(response);
      case 'clusters':
        return this.#answerClusters(response);
      case 'produceBinary':
        return this.#produceBinary(route.topic, message, response, reservation);
      case 'produceStream':
        return this.#produceStream(route, message, response, reservation);
      case 'none':
        throw new RestError(route.status, route.status, route.message);
    }
  }

  async #answerReady(response: ServerResponse): Promise<void> {
    if (this.#stopping.signal.aborted) throw new RestError(503, 503, 'The gateway is stopping');
    await this.#connection.check();
    send(response, 200, 'text/plain', 'ok\n');
  }

  async #answerTopics(response: ServerResponse): Promise<void> {
    const topics = await (await this.#connection.admin()).topics();
    send(response, 200, answerType, JSON.stringify(topics));
  }

  async #answerClusters(response: ServerResponse): Promise<void> {
    const clusterId = await this.#connection.clusterId();
    const metadata = { self: `/v3/clusters/${clusterId}`, resource_name: null };
    const data = [{ kind: 'KafkaCluster', metadata, cluster_id: clusterId }];
    const list = { kind: 'KafkaClusterList', metadata: { self: '/v3/clusters', next: null }, data };
    send(response, 200, 'application/json', JSON.stringify(list));
  }

  async #produceBinary(
    topic: string,
    message: IncomingMessage,
    response: ServerResponse,
    reservation: Reservation,
  ): Promise<void> {
    this.#assertOpen(message, binaryType);
    const { settings, now } = this.#options;
    const bytesMax = settings.TIDEMARK_KAFKA_REST_BODY_BYTES_MAX;
    const body = await readBody(message, bytesMax, reservation);
    const records = readBinary(body, now());
    const pick = await this.#placer.picker(topic, 40_401);
    const outcomes = await Promise.all(records.map((record) => this.#store(topic, pick, record)));
    send(response, 200, answerType, binaryAnswer(outcomes));
  }

  async #produceStream(
    { cluster, topic }: Route & { readonly name: 'produceStream' },
    message: IncomingMessage,
    response: ServerResponse,
    reservation: Reservation,
  ): Promise<void> {
    this.#assertOpen(message, 'application/json');
    const { settings, now } = this.#options;
    const clusterId = await this.#connection.clusterId();
    if (cluster !== clusterId) throw new RestError(404, 404, `Cluster ${cluster} not found`);
    const pick = await this.#placer.picker(topic, 40_403);
    await answerStream({
      message,
      response,
      reservation,
      now,
      context: { clusterId, topic },
      recordBytesMax: settings.TIDEMARK_KAFKA_REST_BODY_BYTES_MAX,
      store: (record) => this.#store(topic, pick, record),
      signal: this.#stopping.signal,
    });
  }

  #assertOpen(message: IncomingMessage, type: string): void {
    if (this.#stopping.signal.aborted) throw new RestError(503, 503, 'The gateway is stopping');
    const { 'content-type': given = '', 'content-encoding': encoding = 'identity' } =
      message.headers;
    if (given.split(';')[0]?.trim().toLowerCase() !== type) {
      throw new RestError(415, 415, `The request is not of type ${type}`);
    }
    if (encoding !== 'identity') {
      throw new RestError(415, 415, 'The request is compressed, which the gateway does not read');
    }
  }

  async #store(topic: string, pick: PickPartition, record: GatewayRecord): Promise<Outcome> {
    const outcome = await this.#place(topic, pick, record);
    const isStored = !(outcome instanceof TidemarkError);
    this.#counters.records.inc({ outcome: isStored ? 'stored' : 'failed' });
    if (isStored) this.#counters.valueBytes.inc(record.value?.length ?? 0);
    return outcome;
  }

  #place(topic: string, pick: PickPartition, record: GatewayRecord): Promise<Outcome> {
    try {
      return this.#batcher.add(topic, pick(record), record);
    } catch (error) {
      if (error instanceof RestError) return Promise.resolve(error);
      throw error;
    }
  }

  readonly #send: Send = async (request) => {
    const { monotonicMs, log } = this.#options;
    const startMs = monotonicMs();
    let outcome = 'failed';
    try {
      const produced = await (await this.#connection.producer()).produce(request);
      outcome = 'stored';
      return produced;
    } catch (error) {
      const { topic, partition, records } = request;
      const place = { topic, partition, records: records.length };
      log.warn({ ...place, reason: reasonOf(error) }, 'Cannot store records');
      throw error;
    } finally {
      this.#counters.batches.inc({ outcome });
      this.#counters.batchSeconds.observe((monotonicMs() - startMs) / 1000);
    }
  };

  /** The one place where an error becomes an answer. */
  #refuse(response: ServerResponse, error: unknown): void {
    if (!(error instanceof RestError)) {
      this.#options.log.warn({ reason: reasonOf(error) }, 'Cannot answer a request');
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const refusal = error instanceof RestError ? error : refusalOf(error);
    if (refusal.retryable) response.setHeader('retry-after', String(limits.retryAfterSeconds));
    const body = { error_code: refusal.errorCode, message: refusal.message };
    send(response, refusal.status, 'application/json', JSON.stringify(body));
  }
}

/** For the log: faults of the world come by the thousand, and their stacks say nothing. */
function reasonOf(error: unknown): string {
  if (error instanceof TidemarkError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** A fault of Kafka while nothing was produced yet; 50003 and 50002 are Confluent's numbers. */
function refusalOf(error: unknown): RestError {
  if (!(error instanceof TidemarkError)) return new RestError(500, 500, 'Internal error');
  if (error.retryable) return new RestError(503, 50_003, error.message, { cause: error });
  return new RestError(500, 50_002, error.message, { cause: error });
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** What the sender still sends is dropped for a moment, so that it comes to read its answer. */
function drain(message: IncomingMessage): void {
  if (message.complete || message.destroyed) return;
  message.resume();
  const late = setTimeout(() => message.destroy(), kafkaLimits.gatewayLateMs);
  message.once('close', () => clearTimeout(late));
}
