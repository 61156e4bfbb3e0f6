import { expect, it } from 'vitest';
import { describeDrift } from '../../../bin/drift/describe.ts';
import { parsePeriod } from '../../../schemas/period.ts';

it('describeDrift() has a line for each service and one of totals', () => {
  const service = {
    tenantId: 'acme',
    serviceName: 'cart',
    batchItems: 1000,
    speedItems: 990,
    rollupItems: 990,
    missing: 15,
    duplicated: 5,
    unarchived: 0,
    late: 2,
    afterRun: 1,
    batchErrors: 40,
    speedErrors: 38,
    p50Error: 0.00123,
    p95Error: 0.02,
    p99Error: null,
    quantileErrorMax: 0.4,
  };
  const services = [service, { ...service, serviceName: 'search', missing: 1 }];
  const compared = { period: parsePeriod('2026-11-21'), runId: 'r1', services };
  const lines = describeDrift({ ...compared, signal: 'traces' }).split('\n');
  expect(lines[0]).toBe('2026-11-21 (traces): the speed layer against run r1');
  const cells = lines.map((line) => line.trim().split(/ {2,}/));
  expect(cells[2]?.slice(0, 5)).toEqual(['tenant', 'service', 'batch', 'speed', 'missing']);
  expect(cells[4]).toEqual(
    'acme cart 1000 990 15 5 0 2 1 40 38 0.12% 2.00% - 40.00%'
      .split(' ')
      .map((cell) => cell.replace('%', ' %')),
  );
  expect(cells[6]?.slice(0, 4)).toEqual(['2 services', '2000', '1980', '16']);
  expect(describeDrift({ ...compared, signal: 'logs' })).not.toContain('p50');
});
