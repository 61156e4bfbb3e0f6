/** Search for spans; each leads to its trace. */
import { choice, field, fill, h, table } from '../dom.ts';
import { href, rangeName, rangeOf, ranges } from '../page.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
import { duration, time } from '../show.ts';

interface Found {
  readonly time: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly service: string;
  readonly operation: string;
  readonly kind: string;
  readonly status: string;
  readonly durationMs: number;
}

const statuses = { '': 'any status', Error: 'errors', Ok: 'ok', Unset: 'unset' };

export const traces: Page = {
  title: () => 'Traces',
  open: (root, visit) => {
    const get = (name: string) => visit.place.parameters.get(name) ?? '';
    const set = (name: string) => (value: string) => visit.change({ [name]: value });
    const region = h('div', {});
    root.append(
      h(
        'div',
        { class: 'controls' },
        choice('Range', ranges, rangeName(visit), set('range')),
        field('Service', get('service'), set('service')),
        field('Operation', get('operation'), set('operation')),
        field('Attribute key=value', get('attribute'), set('attribute')),
        field('At least ms', get('minDurationMs'), set('minDurationMs'), 'number'),
        choice('Status', statuses, get('status'), set('status')),
      ),
      region,
    );
    return {
      isLive: true,
      async refresh(signal) {
        const asked = {
          ...rangeOf(visit),
          service: get('service'),
          operation: get('operation'),
          attribute: get('attribute'),
          minDurationMs: get('minDurationMs'),
          status: get('status'),
        };
        const { data } = await read<Found>('traces', asked, signal);
        if (data.length === 0) fill(region, h('p', { class: 'empty' }, 'No span matches.'));
        else fill(region, tableOf(data, visit.nowMs()));
      },
    };
  },
};

function tableOf(rows: readonly Found[], nowMs: number): HTMLElement {
  return table(
    'The latest spans that match',
    [
      {
        title: 'Start (UTC)',
        cell: ({ time: at, traceId, spanId }) =>
          h(
            'a',
            { href: href('trace', { id: traceId }), 'data-key': traceId + spanId },
            time(at, nowMs),
          ),
      },
      { title: 'Service', cell: ({ service }) => service },
      { title: 'Operation', cell: ({ operation }) => operation },
      { title: 'Kind', cell: ({ kind }) => kind },
      {
        title: 'Status',
        cell: ({ status }) =>
          h('span', { class: status === 'Error' ? 'error' : undefined }, status),
      },
      { title: 'Duration', isNumber: true, cell: ({ durationMs }) => duration(durationMs) },
    ],
    rows,
  );
}
