/** Search for spans; each leads to its trace. */
import { h, table } from '../dom.ts';
import { href } from '../page.ts';
import { searchPage } from '../search.ts';
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

export const traces = searchPage<Found>({
  title: 'Traces',
  resource: 'traces',
  filters: [
    { name: 'service', label: 'Service' },
    { name: 'operation', label: 'Operation' },
    { name: 'attribute', label: 'Attribute key=value' },
    { name: 'minDurationMs', label: 'At least ms', isNumber: true },
    { name: 'status', label: 'Status', choices: statuses },
  ],
  empty: 'No span matches.',
  show: tableOf,
});

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
