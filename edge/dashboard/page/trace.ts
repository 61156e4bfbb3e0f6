/** One trace as a waterfall: each span under its parent, where it lies in time. */
import { fill, h } from '../dom.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
import { duration, hue } from '../show.ts';

interface Span {
  readonly time: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly service: string;
  readonly operation: string;
  readonly kind: string;
  readonly status: string;
  readonly statusMessage: string;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly events: readonly { readonly time: string; readonly name: string }[];
  readonly layer: 'realtime' | 'archive';
}

interface Placed {
  readonly span: Span;
  readonly depth: number;
  readonly startMs: number;
}

export const trace: Page = {
  title: ({ parameters }) => `Trace ${(parameters.get('id') ?? '').slice(0, 16)}`,
  open: (root, visit) => {
    const region = h('div', {});
    root.append(region);
    return {
      isLive: false,
      async refresh(signal) {
        const { data } = await read<Span>(
          `traces/${visit.place.parameters.get('id') ?? ''}`,
          {},
          signal,
        );
        fill(region, ...waterfall(data));
      },
    };
  },
};

function waterfall(spans: readonly Span[]): HTMLElement[] {
  const placed = place(spans);
  const startMs = Math.min(...placed.map((each) => each.startMs));
  const endMs = Math.max(...placed.map((each) => each.startMs + each.span.durationMs));
  const lengthMs = Math.max(endMs - startMs, 0.001);
  const services = new Set(spans.map(({ service }) => service));
  const from = spans.some(({ layer }) => layer === 'archive') ? ', from the archive' : '';
  const summary = `${spans.length} spans of ${services.size} services in ${duration(lengthMs)}${from}`;
  const rows = placed.map((each) => rowOf(each, startMs, lengthMs));
  return [h('p', {}, summary), h('ol', { class: 'waterfall' }, ...rows)];
}

/** Children after their parent, by start; a span whose parent is missing stands at the top. */
function place(spans: readonly Span[]): Placed[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const children = Map.groupBy(spans, ({ spanId, parentSpanId }) =>
    known.has(parentSpanId) && parentSpanId !== spanId ? parentSpanId : '',
  );
  const placed: Placed[] = [];
  const seen = new Set<Span>();
  const waiting = (children.get('') ?? []).toReversed().map((span) => ({ span, depth: 0 }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { span, depth } = next;
    if (seen.has(span)) continue;
    seen.add(span);
    placed.push({ span, depth, startMs: startOf(span) });
    const own = (children.get(span.spanId) ?? []).toReversed();
    waiting.push(...own.map((child) => ({ span: child, depth: depth + 1 })));
  }
  // Parents that form a circle belong to no root; they are shown all the same.
  const rest = spans.filter((span) => !seen.has(span));
  return [...placed, ...rest.map((span) => ({ span, depth: 0, startMs: startOf(span) }))];
}

/** Start in ms with its fraction: `Date` knows whole milliseconds alone. */
function startOf({ time }: Span): number {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '0';
  return Math.floor(Date.parse(time) / 1000) * 1000 + Number(`0.${fraction}`) * 1000;
}

function rowOf({ span, depth, startMs }: Placed, fromMs: number, lengthMs: number): HTMLElement {
  const left = ((startMs - fromMs) / lengthMs) * 100;
  const width = Math.max((span.durationMs / lengthMs) * 100, 0.2);
  const bar = h('span', { class: span.status === 'Error' ? 'bar failed' : 'bar' });
  bar.style.setProperty('--left', `${left}%`);
  bar.style.setProperty('--width', `${width}%`);
  bar.style.setProperty('--hue', String(hue(span.service)));
  const name = h(
    'span',
    { class: 'name' },
    h('b', {}, span.service),
    ` ${span.operation}`,
    span.status === 'Error' ? h('span', { class: 'error' }, ' error') : null,
  );
  name.style.setProperty('--depth', String(Math.min(depth, 12)));
  const head = h(
    'summary',
    {},
    name,
    h('span', { class: 'track' }, bar),
    duration(span.durationMs),
  );
  return h('li', {}, h('details', {}, head, detailsOf(span)));
}

function detailsOf(span: Span): HTMLElement {
  const own = {
    start: span.time,
    kind: span.kind,
    status: [span.status, span.statusMessage].filter(Boolean).join(': '),
    span: span.spanId,
    parent: span.parentSpanId || 'none',
    ...Object.fromEntries(span.events.map(({ time, name }) => [`event at ${time}`, name])),
  };
  const pairs = [own, span.attributes, span.resource].flatMap((of) => Object.entries(of));
  return h('dl', {}, ...pairs.flatMap(([key, value]) => [h('dt', {}, key), h('dd', {}, value)]));
}
