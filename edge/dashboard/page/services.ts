/** The first page: every service with its rate, errors and durations, live. */
import { sparkline } from '../chart.ts';
import { choice, fill, h, table } from '../dom.ts';
import { href, rangeName, rangeOf, ranges } from '../page.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
import { count, duration, share } from '../show.ts';

interface Service {
  readonly service: string;
  readonly spans: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

interface Rate {
  readonly service: string;
  readonly spans: readonly number[];
}

export const services: Page = {
  title: () => 'Services',
  open: (root, visit) => {
    const region = h('div', {});
    const range = choice('Range', ranges, rangeName(visit), (value) =>
      visit.change({ range: value }),
    );
    root.append(h('div', { class: 'controls' }, range), region);
    return {
      isLive: true,
      async refresh(signal) {
        const asked = rangeOf(visit);
        const [found, rates] = await Promise.all([
          read<Service>('services', asked, signal),
          read<Rate>('rates', asked, signal),
        ]);
        const lines = new Map(rates.data.map(({ service, spans }) => [service, spans]));
        if (found.data.length === 0) fill(region, nothing());
        else fill(region, tableOf(found.data, lines, rangeName(visit), asked.to - asked.from));
      },
    };
  },
};

function tableOf(
  rows: readonly Service[],
  lines: ReadonlyMap<string, readonly number[]>,
  range: string,
  rangeMs: number,
): HTMLElement {
  return table(
    `Services, ${ranges[range] ?? range}, live`,
    [
      {
        title: 'Service',
        cell: ({ service }) =>
          h('a', { href: href('service', { service, range }), 'data-key': service }, service),
      },
      {
        title: 'Spans over time',
        cell: ({ service }) => sparkline(lines.get(service) ?? [], `Spans of ${service} over time`),
      },
      { title: 'Spans', isNumber: true, cell: ({ spans }) => count(spans) },
      {
        title: 'A second',
        isNumber: true,
        cell: ({ spans }) => (spans / (rangeMs / 1000)).toPrecision(3),
      },
      { title: 'Errors', isNumber: true, cell: ({ spans, errors }) => share(errors, spans) },
      { title: 'p50', isNumber: true, cell: ({ p50Ms }) => duration(p50Ms) },
      { title: 'p95', isNumber: true, cell: ({ p95Ms }) => duration(p95Ms) },
      { title: 'p99', isNumber: true, cell: ({ p99Ms }) => duration(p99Ms) },
    ],
    rows,
  );
}

/** What to do first. */
function nothing(): HTMLElement {
  return h(
    'div',
    { class: 'empty' },
    h('p', {}, 'Nothing has been sent in this range. Point an OpenTelemetry SDK here:'),
    h(
      'pre',
      { tabindex: 0 },
      `export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}`,
    ),
    h('p', {}, h('a', { href: '/endpoint.html' }, 'More about this endpoint')),
  );
}
