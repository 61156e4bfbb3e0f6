/** One service: its charts, with what is exact marked, and its operations of a day. */
import { bandsOf } from '../bands.ts';
import { Chart } from '../chart.ts';
import { choice, field, fill, h, table } from '../dom.ts';
import { day, href, rangeName, rangeOf, ranges } from '../page.ts';
import type { Page, Visit } from '../page.ts';
import { read } from '../read.ts';
import { badge, count, duration, share } from '../show.ts';

interface Point {
  readonly time: string;
  readonly stepSeconds: number;
  readonly spans: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

interface Operation extends Point {
  readonly operation: string;
  readonly kind: string;
  readonly layer: string;
  readonly isFinal: boolean;
}

export const service: Page = {
  title: ({ parameters }) => parameters.get('service') ?? 'Service',
  open: (root, visit) => {
    const name = visit.place.parameters.get('service') ?? '';
    const date = visit.place.parameters.get('date') ?? day(visit.nowMs());
    const rate = new Chart('Spans and errors a second', (value) => value.toPrecision(3));
    const durations = new Chart('Durations', duration);
    const operations = h('div', {});
    root.append(
      h(
        'div',
        { class: 'controls' },
        choice('Range', ranges, rangeName(visit), (value) => visit.change({ range: value })),
        field('Day of the operations', date, (value) => visit.change({ date: value }), 'date'),
      ),
      h('div', { class: 'charts' }, rate.element, durations.element),
      legend(),
      operations,
    );
    return {
      isLive: true,
      async refresh(signal) {
        const asked = rangeOf(visit);
        const [points, bands, rows] = await Promise.all([
          read<Point>('timeseries', { ...asked, service: name }, signal),
          bandsOf('traces', asked, signal),
          read<Operation>('operations', { date, service: name, limit: 1000 }, signal),
        ]);
        const times = points.data.map(({ time }) => Date.parse(time) / 1000);
        const line = (title: string, of: (point: Point) => number | null) => ({
          title,
          values: points.data.map(of),
        });
        rate.show({
          times,
          bands,
          lines: [
            line('spans/s', ({ spans, stepSeconds }) => spans / stepSeconds),
            line('errors/s', ({ errors, stepSeconds }) => errors / stepSeconds),
          ],
        });
        durations.show({
          times,
          bands,
          lines: [
            line('p50', ({ p50Ms }) => p50Ms),
            line('p95', ({ p95Ms }) => p95Ms),
            line('p99', ({ p99Ms }) => p99Ms),
          ],
        });
        fill(operations, operationsOf(rows.data, date, name, visit));
      },
    };
  },
};

function legend(): HTMLElement {
  return h(
    'p',
    { class: 'legend' },
    badge({ layer: 'batch', isFinal: true }),
    ' filled: the batch has published it. ',
    badge({ layer: 'batch', isFinal: false }),
    ' hatched: published, but more may come. ',
    badge({ layer: 'realtime', isFinal: false }),
    ' nothing behind the line. Lines of up to 24 hours are live, of 7 days exact where their hours are published.',
  );
}

function operationsOf(
  rows: readonly Operation[],
  date: string,
  name: string,
  visit: Visit,
): HTMLElement {
  if (rows.length === 0) return h('p', { class: 'empty' }, `No spans of ${name} on ${date}.`);
  const range = rangeName(visit);
  return table(
    `Operations on ${date} (UTC)`,
    [
      {
        title: 'Operation',
        cell: ({ operation }) =>
          h(
            'a',
            { href: href('traces', { service: name, operation, range }), 'data-key': operation },
            operation,
          ),
      },
      { title: 'Kind', cell: ({ kind }) => kind },
      { title: 'Layer', cell: (row) => badge(row) },
      { title: 'Spans', isNumber: true, cell: ({ spans }) => count(spans) },
      { title: 'Errors', isNumber: true, cell: ({ spans, errors }) => share(errors, spans) },
      { title: 'p50', isNumber: true, cell: ({ p50Ms }) => duration(p50Ms) },
      { title: 'p95', isNumber: true, cell: ({ p95Ms }) => duration(p95Ms) },
      { title: 'p99', isNumber: true, cell: ({ p99Ms }) => duration(p99Ms) },
    ],
    rows,
  );
}
