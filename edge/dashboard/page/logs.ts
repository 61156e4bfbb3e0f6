/** Log records with search, the latest first. */
import { choice, field, fill, h, table } from '../dom.ts';
import { href, rangeName, rangeOf, ranges } from '../page.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
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

export const logs: Page = {
  title: () => 'Logs',
  open: (root, visit) => {
    const get = (name: string) => visit.place.parameters.get(name) ?? '';
    const set = (name: string) => (value: string) => visit.change({ [name]: value });
    const region = h('div', {});
    root.append(
      h(
        'div',
        { class: 'controls' },
        choice('Range', ranges, rangeName(visit), set('range')),
        field('Search', get('search'), set('search')),
        field('Service', get('service'), set('service')),
        choice('At least', severities, get('severity'), set('severity')),
      ),
      region,
    );
    return {
      isLive: true,
      async refresh(signal) {
        const asked = {
          ...rangeOf(visit),
          search: get('search'),
          service: get('service'),
          severity: get('severity'),
        };
        const { data } = await read<Line>('logs', asked, signal);
        if (data.length === 0) fill(region, h('p', { class: 'empty' }, 'No record matches.'));
        else fill(region, tableOf(data, visit.nowMs()));
      },
    };
  },
};

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
