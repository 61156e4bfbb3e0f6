/** Checks the metrics text (Prometheus exposition format 0.0.4). */
import { describe, expect, it } from 'vitest';
import { Meter } from '../../edge/meter.ts';

describe('Meter', () => {
  it('text() has HELP, TYPE and one line for each series', () => {
    const meter = new Meter();
    meter.add('requests_total', 1, 'status="200"');
    meter.add('requests_total', 2, 'status="200"');
    meter.add('requests_total', 1, 'status="503"');
    meter.add('items_accepted_total', 512, 'signal="logs"');
    meter.set('in_flight_bytes', 9);
    meter.set('in_flight_bytes', 4);
    const lines = meter.text().split('\n');
    expect(lines).toContain('# TYPE tidemark_edge_requests_total counter');
    expect(lines).toContain('tidemark_edge_requests_total{status="200"} 3');
    expect(lines).toContain('tidemark_edge_requests_total{status="503"} 1');
    expect(lines).toContain('tidemark_edge_items_accepted_total{signal="logs"} 512');
    expect(lines).toContain('# TYPE tidemark_edge_in_flight_bytes gauge');
    expect(lines).toContain('tidemark_edge_in_flight_bytes 4');
    const form =
      /^(# (HELP|TYPE) [a-z_0-9]+ .+|[a-z_0-9]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+|)$/;
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
  });
});
