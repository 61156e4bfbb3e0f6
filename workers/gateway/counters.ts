/** The gateway's Prometheus metrics. Names are a contract with dashboards. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

export interface GatewayCounters {
  /** Answers by route and HTTP status. */
  readonly requests: Counter<'route' | 'status'>;
  readonly records: Counter<'outcome'>;
  readonly valueBytes: Counter;
  readonly batches: Counter<'outcome'>;
  readonly batchSeconds: Histogram;
}

/** Makes the metrics in `registry`. `inFlightBytes` is asked when they are read. */
export function gatewayCounters(registry: Registry, inFlightBytes: () => number): GatewayCounters {
  const registers = [registry];
  void new Gauge({
    name: name('in_flight_bytes'),
    help: 'JSON of requests that are not answered yet',
    registers,
    collect() {
      this.set(inFlightBytes());
    },
  });
  return {
    requests: new Counter({
      name: name('requests_total'),
      help: 'Requests, by route and status',
      labelNames: ['route', 'status'],
      registers,
    }),
    records: new Counter({
      name: name('records_total'),
      help: 'Records, by what became of them: stored or failed',
      labelNames: ['outcome'],
      registers,
    }),
    valueBytes: new Counter({
      name: name('value_bytes_total'),
      help: 'Bytes of the values of stored records',
      registers,
    }),
    batches: new Counter({
      name: name('batches_total'),
      help: 'Produce calls to Kafka, by outcome: stored or failed',
      labelNames: ['outcome'],
      registers,
    }),
    batchSeconds: new Histogram({
      name: name('batch_seconds'),
      help: 'Time of one produce call, its retries included',
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
  };
}

function name(rest: string): string {
  return `tidemark_kafka_rest_${rest}`;
}
