/**
 * Sends items with the real OTLP exporters, one a service, in batches; now and then a batch twice,
 * as a client does that lost the answer. Never drops an item: a failed export is an error.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { trafficBatchSpans, trafficInFlightMax } from '../../schemas/limits/dev.ts';
import { exportOnce } from './exporter.ts';
import type { Exporter } from './exporter.ts';
import { services } from './shop.ts';
import type { Service } from './shop.ts';

export interface Delivery<Item> {
  readonly items: readonly Item[];
  /** False for the second delivery of a batch. */
  readonly first: boolean;
}

export interface SendOptions<Item> {
  /** What an item is called, in the plural. */
  readonly name: string;
  /** The exporter of one service; it is asked for once. */
  readonly exporterOf: (service: Service) => Exporter<Item[]>;
  /** Share of batches that are delivered twice, spread evenly. */
  readonly repeatShare: number;
  /** Called after each delivery that was answered with success. */
  readonly onDelivery: (delivery: Delivery<Item>) => void;
}

/** A bounded sender. After `add` the caller waits for `ready` before it makes more items. */
export class Sender<Item> {
  readonly #options: SendOptions<Item>;
  readonly #exporters = new Map<string, Exporter<Item[]>>();
  readonly #waiting = new Map<string, Item[]>();
  readonly #inFlight = new Set<Promise<void>>();
  #batches = 0;
  #fault: TidemarkError | undefined;

  constructor(options: SendOptions<Item>) {
    this.#options = options;
    for (const service of services) {
      this.#exporters.set(service.name, options.exporterOf(service));
    }
  }

  /** Takes one item; a full batch is sent at once. */
  add(service: string, item: Item): void {
    const waiting = this.#waiting.get(service) ?? [];
    waiting.push(item);
    this.#waiting.set(service, waiting);
    if (waiting.length >= trafficBatchSpans) this.#sendBatch(service);
  }

  /** Resolves when few enough requests are under way. Throws SINK_FAILED if one has failed. */
  async ready(): Promise<void> {
    while (this.#inFlight.size >= trafficInFlightMax) await Promise.race(this.#inFlight);
    if (this.#fault) throw this.#fault;
  }

  /** Sends what is left and waits for every answer. Throws SINK_FAILED if one has failed. */
  async flush(): Promise<void> {
    for (const service of this.#waiting.keys()) {
      await this.ready();
      this.#sendBatch(service);
    }
    await Promise.all(this.#inFlight);
    await this.ready();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.shutdown()));
  }

  #sendBatch(service: string): void {
    const items = this.#waiting.get(service) ?? [];
    if (items.length === 0) return;
    this.#waiting.set(service, []);
    this.#batches += 1;
    const { repeatShare } = this.#options;
    const share = (batches: number): number => Math.round(batches * repeatShare);
    const repeats = share(this.#batches) > share(this.#batches - 1);
    const sent = this.#deliver(service, items, repeats)
      .catch((error: unknown) => {
        this.#fault ??= this.#failed(items.length, error);
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }

  async #deliver(service: string, items: Item[], repeats: boolean): Promise<void> {
    const exporter = this.#exporters.get(service);
    if (!exporter) throw new Error(`Bug: no service is named ${service}`);
    await exportOnce(exporter, items);
    this.#options.onDelivery({ items, first: true });
    if (!repeats) return;
    await exportOnce(exporter, items);
    this.#options.onDelivery({ items, first: false });
  }

  #failed(items: number, cause: unknown): TidemarkError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot send ${items} ${this.#options.name}: ${reason}`;
    return new TidemarkError('SINK_FAILED', message, { cause });
  }
}
