import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { gatewayCounters } from '../../../workers/gateway/counters.ts';

describe('gatewayCounters()', () => {
  it('names what dashboards read', async () => {
    const registry = new Registry();
    let held = 0;
    const counters = gatewayCounters(registry, () => held);
    held = 7;
    counters.requests.inc({ route: 'topics', status: 200 });
    counters.records.inc({ outcome: 'stored' }, 3);
    counters.valueBytes.inc(10);
    counters.batches.inc({ outcome: 'failed' });
    counters.batchSeconds.observe(0.2);
    const text = await registry.metrics();
    for (const line of [
      'tidemark_kafka_rest_in_flight_bytes 7',
      'tidemark_kafka_rest_requests_total{route="topics",status="200"} 1',
      'tidemark_kafka_rest_records_total{outcome="stored"} 3',
      'tidemark_kafka_rest_value_bytes_total 10',
      'tidemark_kafka_rest_batches_total{outcome="failed"} 1',
      'tidemark_kafka_rest_batch_seconds_bucket{le="0.25"} 1',
    ]) {
      expect(text).toContain(line);
    }
  });
});
