/** Which metrics there are, and one gauge or sum: its points, or in longer ranges its hours. */
import { bandsOf } from '../bands.ts';
import { Chart } from '../chart.ts';
import { choice, field, fill, h, table } from '../dom.ts';
import { href, rangeName, rangeOf, ranges } from '../page.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
import { count } from '../show.ts';

interface Metric {
  readonly service: string;
  readonly metric: string;
  readonly unit: string;
  readonly kind: string;
  readonly points: number;
}

interface Points {
  readonly service: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly times: readonly string[];
  readonly values: readonly (number | null)[];
}

interface Hours {
  readonly service: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly hours: readonly string[];
  readonly avg: readonly (number | null)[];
  readonly last: readonly (number | null)[];
}

/** Ranges of which hours are shown: exact where the batch has published their days. */
const longRanges = ['24h', '7d'];

/** Lines of one chart that can be told apart. */
const linesMax = 6;

export const metrics: Page = {
  title: ({ parameters }) => parameters.get('metric') ?? 'Metrics',
  open: (root, visit) => {
    const get = (name: string) => visit.place.parameters.get(name) ?? '';
    const set = (name: string) => (value: string) => visit.change({ [name]: value });
    const region = h('div', {});
    const metric = get('metric');
    const chart = new Chart(metric, (value) => count(value));
    root.append(
      h(
        'div',
        { class: 'controls' },
        choice('Range', ranges, rangeName(visit), set('range')),
        field('Service', get('service'), set('service')),
      ),
      ...(metric === '' ? [] : [h('div', { class: 'charts' }, chart.element)]),
      region,
    );
    return {
      isLive: true,
      async refresh(signal) {
        const asked = { ...rangeOf(visit), service: get('service') };
        if (metric !== '') {
          const of = { ...asked, metric, kind: get('kind') };
          if (longRanges.includes(rangeName(visit))) {
            const [found, bands] = await Promise.all([
              read<Hours>('series', of, signal),
              bandsOf('metrics', asked, signal),
            ]);
            chart.show({
              ...seriesOf(found.data.map((hours) => pointsOf(hours, get('kind') === 'sum'))),
              bands,
            });
          } else {
            chart.show(seriesOf((await read<Points>('points', of, signal)).data));
          }
        }
        const { data } = await read<Metric>('metrics', { ...asked, limit: 1000 }, signal);
        if (data.length === 0)
          fill(region, h('p', { class: 'empty' }, 'No metric has points here.'));
        else fill(region, tableOf(data, rangeName(visit)));
      },
    };
  },
};

/** The hours as points: the mean of a gauge, the last value of a sum. */
function pointsOf({ service, attributes, hours, avg, last }: Hours, isSum: boolean): Points {
  return { service, attributes, times: hours, values: isSum ? last : avg };
}

/** The first few series on one axis of time. */
function seriesOf(found: readonly Points[]) {
  const shown = found.slice(0, linesMax);
  const times = [...new Set(shown.flatMap(({ times: own }) => own))].toSorted();
  const lines = shown.map(({ service, attributes, times: own, values }) => {
    const byTime = new Map(own.map((at, index) => [at, values[index] ?? null]));
    const name = [service, ...Object.values(attributes)].join(' ');
    return { title: name, values: times.map((at) => byTime.get(at) ?? null) };
  });
  return { times: times.map((at) => Date.parse(at) / 1000), lines, bands: [] };
}

function tableOf(rows: readonly Metric[], range: string): HTMLElement {
  return table(
    'Metrics with points in the range',
    [
      {
        title: 'Metric',
        cell: ({ service, metric, kind }) =>
          kind === 'gauge' || kind === 'sum'
            ? h(
                'a',
                {
                  href: href('metrics', { service, metric, kind, range }),
                  'data-key': `${service} ${metric} ${kind}`,
                },
                metric,
              )
            : metric,
      },
      { title: 'Service', cell: ({ service }) => service },
      { title: 'Kind', cell: ({ kind }) => kind.replace('_', ' ') },
      { title: 'Unit', cell: ({ unit }) => unit },
      { title: 'Points', isNumber: true, cell: ({ points }) => count(points) },
    ],
    rows,
  );
}
