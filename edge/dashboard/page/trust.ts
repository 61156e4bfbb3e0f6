/** How far figures can be trusted: what the batch has published, and what it corrected. */
import { booksOf } from '../books.ts';
import type { Day, Difference } from '../books.ts';
import { field, fill, h, table } from '../dom.ts';
import { day } from '../page.ts';
import type { Page, Visit } from '../page.ts';
import { read } from '../read.ts';
import { badge, count, relative, time } from '../show.ts';

interface Period {
  readonly signal: string;
  readonly period: string;
  readonly periodKind: string;
  readonly runId: string;
  readonly publishedAt: string;
  readonly isFinal: boolean;
  readonly watermark: string;
}

interface Drift {
  readonly service: string;
  readonly operation: string;
  readonly kind: string;
  readonly batchSpans: number;
  readonly realtimeSpans: number;
  readonly duplicates: number;
  readonly spansError: number | null;
  readonly p50Error: number | null;
  readonly p95Error: number | null;
  readonly p99Error: number | null;
}

const shownMs = 14 * 86_400_000;

export const trust: Page = {
  title: () => 'Completeness and drift',
  open: (root, visit) => {
    const [periods, hours] = [h('div', {}), h('div', {})];
    const books = partOfDay(visit, 'Books of the day', 'books', 0);
    const drift = partOfDay(visit, 'Drift of the day', 'date', 1);
    root.append(periods, ...books.nodes, ...drift.nodes, hours);
    return {
      isLive: true,
      async refresh(signal) {
        const to = visit.nowMs() + 1000;
        const [published, found, days, differences] = await Promise.all([
          read<Period>('completeness', { from: to - shownMs, to, limit: 200 }, signal),
          read<Drift>('drift', { date: drift.date, limit: 1000 }, signal),
          read<Day>('ledger', { date: books.date, step: 'day' }, signal),
          read<Difference>('ledger/differences', { date: books.date }, signal),
        ]);
        const ofKind = (kind: string) => published.data.filter((row) => row.periodKind === kind);
        fill(periods, periodsOf('Days', ofKind('day'), visit.nowMs()));
        fill(hours, periodsOf('Hours', ofKind('hour'), visit.nowMs()));
        const when = { date: books.date, nowMs: visit.nowMs() };
        fill(books.body, booksOf(days.data, differences.data, when));
        fill(drift.body, driftOf(found.data, drift.date));
      },
    };
  },
};

/** A part of the page that shows one day, so many days ago unless the address names another. */
function partOfDay(visit: Visit, label: string, parameter: string, daysAgo: number) {
  const date = visit.place.parameters.get(parameter) ?? day(visit.nowMs(), daysAgo);
  const change = (value: string) => visit.change({ [parameter]: value });
  const body = h('div', {});
  const controls = h('div', { class: 'controls' }, field(label, date, change, 'date'));
  return { date, body, nodes: [controls, body] };
}

function periodsOf(name: 'Days' | 'Hours', rows: readonly Period[], nowMs: number): HTMLElement {
  if (rows.length === 0) {
    const none = `The batch has published ${name === 'Days' ? 'no day' : 'no hour'} in the last 14 days.`;
    return h('p', { class: 'empty' }, none);
  }
  return table(
    `${name} that the batch has published, of the last 14 days`,
    [
      {
        title: 'Period (UTC)',
        cell: ({ period, periodKind }) =>
          periodKind === 'day' ? period.slice(0, 10) : period.slice(0, 13).replace('T', ' '),
      },
      { title: 'Signal', cell: ({ signal }) => signal },
      { title: 'Standing', cell: ({ isFinal }) => badge({ layer: 'batch', isFinal }) },
      { title: 'Received until', cell: ({ watermark }) => time(watermark, nowMs) },
      { title: 'Published', cell: ({ publishedAt }) => time(publishedAt, nowMs) },
      { title: 'Run', cell: ({ runId }) => h('code', {}, runId) },
    ],
    rows,
  );
}

function driftOf(rows: readonly Drift[], date: string): HTMLElement {
  if (rows.length === 0) return h('p', { class: 'empty' }, `No run of ${date} to compare with.`);
  return table(
    `What the batch corrected on ${date}: realtime against exact`,
    [
      { title: 'Service', cell: ({ service }) => service },
      { title: 'Operation', cell: ({ operation }) => operation },
      { title: 'Exact spans', isNumber: true, cell: ({ batchSpans }) => count(batchSpans) },
      { title: 'Live spans', isNumber: true, cell: ({ realtimeSpans }) => count(realtimeSpans) },
      { title: 'Duplicates', isNumber: true, cell: ({ duplicates }) => count(duplicates) },
      { title: 'Spans off', isNumber: true, cell: ({ spansError }) => relative(spansError) },
      { title: 'p50 off', isNumber: true, cell: ({ p50Error }) => relative(p50Error) },
      { title: 'p95 off', isNumber: true, cell: ({ p95Error }) => relative(p95Error) },
      { title: 'p99 off', isNumber: true, cell: ({ p99Error }) => relative(p99Error) },
    ],
    rows,
  );
}
