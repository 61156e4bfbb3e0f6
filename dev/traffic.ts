/**
 * The traffic generator's conductor: a believable shop's requests over yesterday and today, sent
 * with the real OpenTelemetry SDK. Some of yesterday's traces are kept back until they are asked
 * for, as from devices that were offline. Never looks at what became of the spans.
 */
import { slotsOf } from './traffic/clock.ts';
import { Emitter } from './traffic/emit.ts';
import { exportOnce, logExporter, metricExporter, spanExporter } from './traffic/exporter.ts';
import { Logbook } from './traffic/log.ts';
import { Meters, pointCount } from './traffic/metric.ts';
import { Random } from './traffic/random.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { Sender } from './traffic/send.ts';
import { journeys, services } from './traffic/shop.ts';
import type { Journey } from './traffic/shop.ts';
import { planRequest } from './traffic/trace.ts';
import { Truth, utcDay, utcDayStart } from './traffic/truth.ts';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

export interface TrafficOptions {
  /** The traces endpoint, such as `http://127.0.0.1:8787/v1/traces`; the others lie beside it. */
  readonly endpoint: string;
  readonly seed: number;
  /** Ms since 1970; yesterday and today are those of this time. */
  readonly nowMs: number;
  /** Distinct spans to make, at least. */
  readonly spans: number;
  /** Called after every answered request with the deliveries so far. */
  readonly onProgress?: (counts: TrafficCounts) => void;
  /** Ends the sending early. */
  readonly signal?: AbortSignal;
}

export interface TrafficCounts {
  readonly requests: number;
  readonly repeatedRequests: number;
  /** Distinct spans that were delivered. */
  readonly spans: number;
  readonly repeatedSpans: number;
  /** Distinct spans that are kept back. */
  readonly keptBackSpans: number;
  /** Log records that were delivered, each once. */
  readonly logRecords: number;
  /** Metric data points that were delivered, each once. */
  readonly points: number;
}

/** Share of yesterday in all spans. */
const yesterdayShare = 0.6;
/** Share of yesterday's requests whose traces arrive late. */
const lateShare = 0.015;
const repeatShare = 0.03;
const secondMs = 1000;
const dayMs = 86_400_000;

/** Sends in two steps: `sendPrompt` all but the late traces, `sendLate` those. */
export class Traffic {
  readonly yesterday: string;
  readonly today: string;
  readonly tomorrow: string;
  /** Grows with each delivery. */
  readonly truth = new Truth();
  readonly #options: TrafficOptions;
  readonly #random: Random;
  readonly #emitter: Emitter;
  readonly #sender: Sender<ReadableSpan>;
  readonly #logs: Sender<ReadableLogRecord>;
  readonly #logbook: Logbook;
  readonly #meters = new Meters();
  readonly #keptBack: { service: string; span: ReadableSpan }[] = [];
  #counts = {
    requests: 0,
    repeatedRequests: 0,
    spans: 0,
    repeatedSpans: 0,
    logRecords: 0,
    points: 0,
  };
  #made = 0;
  #keepBack = false;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.today = utcDay(options.nowMs);
    this.tomorrow = utcDay(options.nowMs + dayMs);
    this.yesterday = utcDay(options.nowMs - dayMs);
    this.#emitter = new Emitter(this.#random, (service, span) => this.#take(service, span));
    this.#sender = new Sender({
      name: 'spans',
      exporterOf: (service) => spanExporter(service, options.endpoint),
      repeatShare,
      onDelivery: ({ items, first }) => this.#delivered(items, first),
    });
    this.#logs = new Sender({
      name: 'log records',
      exporterOf: (service) => logExporter(service, this.#endpoint('logs')),
      repeatShare: 0,
      onDelivery: ({ items }) => (this.#counts.logRecords += items.length),
    });
    this.#logbook = new Logbook((service, record) => {
      this.truth.addRecord(record);
      this.#logs.add(service, record);
    });
  }

  get counts(): TrafficCounts {
    return { ...this.#counts, keptBackSpans: this.#keptBack.length };
  }

  /**
   * Sends both days but for the late traces, with the logs of both and the metrics that the SDK
   * has at the end of each. Throws SINK_FAILED when the endpoint refuses.
   */
  async sendPrompt(): Promise<TrafficCounts> {
    const { nowMs, spans } = this.#options;
    const midnightMs = utcDayStart(nowMs);
    await this.#makeUntil(spans * yesterdayShare, midnightMs - dayMs, midnightMs, lateShare);
    await this.#sendMetrics();
    // Right after midnight today is a second long, so that both days have spans.
    await this.#makeUntil(spans, midnightMs, Math.max(nowMs, midnightMs + secondMs), 0);
    await this.#sendMetrics();
    await Promise.all([this.#sender.flush(), this.#logs.flush()]);
    return this.counts;
  }

  /** Sends the traces that were kept back; returns how many spans that were. */
  async sendLate(): Promise<number> {
    const late = this.#keptBack.splice(0);
    for (const { service, span } of late) {
      this.#sender.add(service, span);
      await this.#sender.ready();
    }
    await this.#sender.flush();
    return late.length;
  }

  /** Closes the exporters' connections. */
  async close(): Promise<void> {
    await Promise.all([this.#sender.close(), this.#logs.close()]);
  }

  /** Makes spans until `spans` have been made in all, roughly in the order of their time. */
  async #makeUntil(
    spans: number,
    fromMs: number,
    untilMs: number,
    keepBackShare: number,
  ): Promise<void> {
    const [before, random] = [this.#made, this.#random];
    for (const slot of slotsOf(fromMs, untilMs)) {
      while (this.#made < before + (spans - before) * slot.cumulativeShare) {
        this.#options.signal?.throwIfAborted();
        const startMs = slot.fromMs + random.below(slot.untilMs - slot.fromMs);
        this.#keepBack = random.chance(keepBackShare);
        this.#emitter.emit(planRequest(drawJourney(random).root, random), startMs);
        await Promise.all([this.#sender.ready(), this.#logs.ready()]);
      }
    }
  }

  /** Has every service's SDK export what it has measured so far. */
  async #sendMetrics(): Promise<void> {
    const collected = await this.#meters.collect();
    await Promise.all(collected.map((each) => this.#sendMetricsOf(each.service, each.metrics)));
  }

  async #sendMetricsOf(service: string, metrics: ResourceMetrics): Promise<void> {
    const found = services.find(({ name }) => name === service);
    if (!found) throw new Error(`Bug: no service is named ${service}`);
    const exporter = metricExporter(found, this.#endpoint('metrics'));
    try {
      await exportOnce(exporter, metrics);
      this.#counts.points += pointCount(metrics);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot send the metrics of ${service}: ${reason}`;
      throw new TidemarkError('SINK_FAILED', message, { cause });
    } finally {
      await exporter.shutdown();
    }
  }

  #endpoint(signal: 'logs' | 'metrics'): string {
    return new URL(`/v1/${signal}`, this.#options.endpoint).href;
  }

  #take(service: string, span: ReadableSpan): void {
    this.#made += 1;
    this.#meters.measure(service, span);
    this.truth.addEnded(service);
    this.#logbook.write(service, span);
    if (this.#keepBack) this.#keptBack.push({ service, span });
    else this.#sender.add(service, span);
  }

  #delivered(spans: readonly ReadableSpan[], first: boolean): void {
    const counts = this.#counts;
    counts.requests += 1;
    if (first) {
      counts.spans += spans.length;
      this.truth.addFirst(spans);
    } else {
      counts.repeatedRequests += 1;
      counts.repeatedSpans += spans.length;
      this.truth.addRepeated(spans);
    }
    this.#options.onProgress?.(this.counts);
  }
}

const weightSum = journeys.reduce((sum, { weight }) => sum + weight, 0);

function drawJourney(random: Random): Journey {
  let at = random.fraction() * weightSum;
  const found = journeys.find(({ weight }) => (at -= weight) < 0);
  return found ?? (journeys[0] as Journey);
}
