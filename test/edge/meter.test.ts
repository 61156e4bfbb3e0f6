/** Checks the metrics text (Prometheus exposition format 0.0.4) and that it stays bounded. */
import { describe, expect, it } from 'vitest';
import { Meter } from '../../edge/meter.ts';
import { meteredTenantsMax } from '../../schemas/limits.ts';

const form =
  /^(# (HELP|TYPE) [a-z_0-9]+ .+|[a-z_0-9]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [\d.]+|)$/;

function linesOf(meter: Meter): string[] {
  return meter.text().split('\n');
}

function bucket(bound: string, count: number): string {
  return `tidemark_edge_sink_seconds_bucket{service="r2",le="${bound}"} ${count}`;
}

describe('Meter', () => {
  it('text() has HELP, TYPE and one line for each series', () => {
    const meter = new Meter();
    meter.add('requests_total', 1, 'status="200"');
    meter.add('requests_total', 2, 'status="200"');
    meter.add('requests_total', 1, 'status="503"');
    meter.add('items_accepted_total', 512, 'signal="logs"');
    meter.set('in_flight_bytes', 9);
    meter.set('in_flight_bytes', 4);
    const lines = linesOf(meter);
    expect(lines).toContain('# TYPE tidemark_edge_requests_total counter');
    expect(lines).toContain('tidemark_edge_requests_total{status="200"} 3');
    expect(lines).toContain('tidemark_edge_requests_total{status="503"} 1');
    expect(lines).toContain('tidemark_edge_items_accepted_total{signal="logs"} 512');
    expect(lines).toContain('# TYPE tidemark_edge_in_flight_bytes gauge');
    expect(lines).toContain('tidemark_edge_in_flight_bytes 4');
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
  });

  it('observe() makes a histogram whose buckets count all that is at most their bound', () => {
    const meter = new Meter();
    for (const seconds of [0, 0.005, 0.0051, 0.5, 10, 10.5]) {
      meter.observe('sink_seconds', seconds, 'service="r2"');
    }
    const lines = linesOf(meter).filter((line) => line.includes('sink_seconds'));
    expect(lines).toEqual([
      expect.stringContaining('# HELP'),
      '# TYPE tidemark_edge_sink_seconds histogram',
      bucket('0.005', 2),
      bucket('0.01', 3),
      bucket('0.025', 3),
      bucket('0.05', 3),
      bucket('0.1', 3),
      bucket('0.25', 3),
      bucket('0.5', 4),
      bucket('1', 4),
      bucket('2.5', 4),
      bucket('5', 4),
      bucket('10', 5),
      bucket('+Inf', 6),
      'tidemark_edge_sink_seconds_sum{service="r2"} 21.0101',
      'tidemark_edge_sink_seconds_count{service="r2"} 6',
    ]);
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
  });

  it('merge() adds what take() gave, under the label of a tenant, and take() begins anew', () => {
    const [isolate, request] = [new Meter(), new Meter()];
    request.add('items_accepted_total', 3, 'signal="logs"');
    request.add('durations_clamped_total', 2);
    request.observe('sink_seconds', 0.2, 'service="r2"');
    const reading = request.take();
    expect(request.take()).toEqual([]);
    isolate.merge(reading, 'shop');
    isolate.merge(reading, 'shop');
    isolate.merge(reading);
    const lines = linesOf(isolate);
    expect(lines).toContain('tidemark_edge_items_accepted_total{signal="logs",tenant="shop"} 6');
    expect(lines).toContain('tidemark_edge_items_accepted_total{signal="logs"} 3');
    expect(lines).toContain('tidemark_edge_durations_clamped_total{tenant="shop"} 4');
    expect(lines).toContain('tidemark_edge_sink_seconds_count{service="r2",tenant="shop"} 2');
    expect(lines).toContain('tidemark_edge_sink_seconds_sum{service="r2",tenant="shop"} 0.4');
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
  });

  it('merge() tells a bounded number of tenants apart', () => {
    const meter = new Meter();
    for (let index = 0; index < meteredTenantsMax + 50; index += 1) {
      meter.merge([['durations_clamped_total', '', 1]], `tenant-${index}`);
    }
    meter.merge([['durations_clamped_total', '', 1]], 'tenant-0');
    const lines = linesOf(meter).filter((line) => line.startsWith('tidemark_edge_durations'));
    expect(lines).toHaveLength(meteredTenantsMax + 1);
    expect(lines).toContain('tidemark_edge_durations_clamped_total{tenant="tenant-0"} 2');
    expect(lines).toContain('tidemark_edge_durations_clamped_total{tenant="OTHER"} 50');
  });
});
