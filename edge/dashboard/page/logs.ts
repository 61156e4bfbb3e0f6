/** Log records with search, the latest first. */
import { h, table } from '../dom.ts';
import { href } from '../page.ts';
import { searchPage } from '../search.ts';
import { time } from '../show.ts';

interface Line {
  readonly time: string;
  readonly service: string;
  readonly severity: string;
  readonly severityNumber: number;
  readonly body: string;
  readonly traceId: string;
}

const severities = { '': 'any', 5: 'debug', 9: 'info', 13: 'warn', 17: 'error', 21: 'fatal' };

export const logs = searchPage<Line>({
  title: 'Logs',
  resource: 'logs',
  filters: [
    { name: 'search', label: 'Search' },
    { name: 'service', label: 'Service' },
    { name: 'severity', label: 'At least', choices: severities },
  ],
  empty: 'No record matches.',
  show: tableOf,
});

function tableOf(rows: readonly Line[], nowMs: number): HTMLElement {
  return table(
    'The latest log records that match',
    [
      { title: 'Time (UTC)', cell: ({ time: at }) => time(at, nowMs) },
      { title: 'Service', cell: ({ service }) => service },
      {
        title: 'Severity',
        cell: ({ severity, severityNumber }) =>
          h('span', { class: severityNumber >= 17 ? 'error' : undefined }, severity),
      },
      { title: 'Body', cell: ({ body }) => h('code', {}, body) },
      {
        title: 'Trace',
        cell: ({ traceId }) =>
          traceId === ''
            ? ''
            : h('a', { href: href('trace', { id: traceId }) }, traceId.slice(0, 8)),
      },
    ],
    rows,
  );
}
