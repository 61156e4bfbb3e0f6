/** What is printed of a report, from a report by hand. */
import { describe, expect, it } from 'vitest';
import { assume } from '../../../bin/cost/assume.ts';
import { describeAssumptions, describeCost } from '../../../bin/cost/describe.ts';
import type { CostReport } from '../../../bin/cost/price.ts';

const report: CostReport = {
  load: {
    items: { traces: 2.5e6, logs: 999, metrics: 0 },
    archiveDays: 30,
    speedDays: 7,
    kafkaDays: 7,
    kafka: false,
    group: false,
  },
  cells: 1,
  lines: [
    { part: 'edge', what: 'Workers: plan', amount: 1, unit: 'account', usdMonth: 5 },
    { part: 'edge', what: 'requests', amount: 1234, unit: 'a month', usdMonth: 0 },
    { part: 'clickhouse', what: 'servers', amount: 40, unit: 'vCPU', usdMonth: 15 },
  ],
  usdMonth: 20,
  usdPerMillion: 0.25,
  limits: [
    { name: 'a', need: 5, bound: 10, unit: 's', spreads: true, remedy: 'none needed' },
    { name: 'b', need: 12_500, bound: 400, unit: 'objects', spreads: false, remedy: 'do this' },
  ],
};

describe('describeCost()', () => {
  it('names parts once, sums up, and says what to do about limits that are passed alone', () => {
    expect(describeCost(report).split('\n')).toEqual([
      '2.5 M spans, 999 log records, 0 data points a day',
      'archive 30 days, ClickHouse 7 days, no Kafka: the R2 spool',
      '',
      '  part        what           amount  unit     USD a month',
      '  ----------  -------------  ------  -------  -----------',
      '  edge        Workers: plan       1  account            5',
      '              requests       1.23 k  a month',
      '  clickhouse  servers            40  vCPU              15',
      '  all                                                  20',
      '',
      '0.250 USD for each million items. Most of it: clickhouse servers 75 %, edge Workers: plan 25 %, edge requests 0 %.',
      '',
      'One deployment holds it. Its limits:',
      '',
      '  limit  needed  there is  unit     past it',
      '  -----  ------  --------  -------  -------',
      '  a           5        10  s',
      '  b      12.5 k       400  objects  do this',
      '',
    ]);
  });
});

describe('describeAssumptions()', () => {
  it('says which were given', () => {
    const lines = describeAssumptions(assume({ kafkaReplicas: 2 })).split('\n');
    const line = lines.find((each) => each.startsWith('kafkaReplicas '));
    expect(line?.split(/ {2,}/)).toEqual([
      'kafkaReplicas',
      '2',
      'copies',
      'given',
      'in place of 3',
    ]);
  });
});
