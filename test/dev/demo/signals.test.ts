/** Tests of the comparison; the reading is done by the demo's own test on the real engine. */
import { describe, expect, it } from 'vitest';
import { compareSignals, readMetrics } from '../../../dev/demo/signals.ts';
import { Truth } from '../../../dev/traffic/truth.ts';

const log = { with_trace: 0, example: '' };

describe('compareSignals()', () => {
  it('compareSignals() names what is missing, too many, and unknown', () => {
    const truth = new Truth();
    for (const service of ['cart', 'cart', 'email']) truth.addEnded(service);
    const logs = [{ ...log, service_name: 'cart', severity: 'INFO', records: 3 }];
    const ended = [
      { service_name: 'cart', ended: 2 },
      { service_name: 'email', ended: 0 },
    ];
    expect(compareSignals(logs, ended, truth)).toEqual({
      rows: 3,
      figures: 2,
      differences: [
        'cart INFO, log records: stored 3, sent 0',
        'email, spans counted by metrics: stored 0, sent 1',
      ],
    });
  });
});

describe('readMetrics()', () => {
  it('readMetrics() leaves out empty tables and keeps the order of the tables', async () => {
    const row = { metrics: 1, services: 1 };
    const rows = await readMetrics(<T>() =>
      Promise.resolve([
        { ...row, table: 'otel_metrics_sum', points: 2 },
        { ...row, table: 'otel_metrics_summary', points: 0 },
        { ...row, table: 'otel_metrics_gauge', points: 1 },
      ] as T[]),
    );
    expect(rows.map(({ table }) => table)).toEqual(['otel_metrics_gauge', 'otel_metrics_sum']);
  });
});
