/** Who calls whom on a day, exact where the batch has published it: as a drawing, and as a table. */
import { field, fill, h, svg, table } from '../dom.ts';
import { day, href } from '../page.ts';
import type { Page } from '../page.ts';
import { read } from '../read.ts';
import { badge, count, duration, hue, share } from '../show.ts';
import type { Provenance } from '../show.ts';

interface Edge extends Provenance {
  readonly caller: string;
  readonly callee: string;
  readonly connectionType: string;
  readonly virtualSide: string;
  readonly calls: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly sampleShare: number;
}

/** In the drawing's own units; it is as wide as its columns need, and is shown as wide as the page. */
const [widthMin, rowHeight, nodeWidth, gapMin] = [920, 44, 150, 48];

export const graph: Page = {
  title: () => 'Service graph',
  open: (root, visit) => {
    const date = visit.place.parameters.get('date') ?? day(visit.nowMs());
    const region = h('div', {});
    const change = (value: string) => visit.change({ date: value });
    root.append(h('div', { class: 'controls' }, field('Day', date, change, 'date')), region);
    return {
      isLive: false,
      async refresh(signal) {
        const { data } = await read<Edge>('graph', { date, limit: 1000 }, signal);
        const none = `Nothing is known of calls on ${date}.`;
        if (data.length === 0) fill(region, h('p', { class: 'empty' }, none));
        else fill(region, standingOf(data), drawing(data, date), tableOf(data, date));
      },
    };
  },
};

/** What the figures are: a day is of one layer, and a large one that is live is a sample. */
function standingOf([first]: readonly Edge[]): HTMLElement {
  if (first === undefined) return h('p', {});
  const whole =
    first.layer === 'batch' ? '' : ' Calls are joined by their parents, links are left out.';
  const sample =
    first.sampleShare < 1 ? ` Scaled up from ${share(first.sampleShare, 1)} of all traces.` : '';
  return h('p', { class: 'legend' }, badge(first), whole, sample);
}

/** Column of each node: one more than its farthest caller's, circles left aside. */
function layers(edges: readonly Edge[]): Map<string, number> {
  const names = [...new Set(edges.flatMap(({ caller, callee }) => [caller, callee]))];
  const depth = new Map(names.map((name) => [name, 0]));
  for (let round = 0; round < names.length && round < 12; round += 1) {
    let moved = false;
    for (const { caller, callee } of edges) {
      const wanted = (depth.get(caller) ?? 0) + 1;
      if (caller === callee || wanted > 6 || (depth.get(callee) ?? 0) >= wanted) continue;
      depth.set(callee, wanted);
      moved = true;
    }
    if (!moved) break;
  }
  return depth;
}

function drawing(edges: readonly Edge[], date: string): HTMLElement {
  const depth = layers(edges);
  const columns = [...Map.groupBy(depth.keys(), (name) => depth.get(name) ?? 0)].toSorted(
    ([a], [b]) => a - b,
  );
  const rows = Math.max(...columns.map(([, names]) => names.length));
  const gaps = Math.max(1, columns.length - 1);
  const step = Math.max(nodeWidth + gapMin, (widthMin - nodeWidth) / gaps);
  const width = Math.max(widthMin, step * gaps + nodeWidth);
  const places = new Map(
    columns.flatMap(([, names], column) =>
      names.map((name, row) => {
        const y = ((row + 0.5) * rows * rowHeight) / names.length;
        return [name, { x: column * step, y }] as const;
      }),
    ),
  );
  const most = Math.max(...edges.map(({ calls }) => calls));
  const lines = edges.map((edge) => lineOf(edge, places, most));
  const nodes = [...places].map(([name, at]) => nodeOf(name, at));
  const picture = svg(
    'svg',
    { viewBox: `0 0 ${width} ${rows * rowHeight}`, role: 'img', 'aria-label': `Calls on ${date}` },
    ...lines,
    ...nodes,
  );
  return h('div', { class: 'graph' }, picture);
}

interface Spot {
  readonly x: number;
  readonly y: number;
}

function lineOf(edge: Edge, places: ReadonlyMap<string, Spot>, most: number): SVGElement {
  const from = places.get(edge.caller) ?? { x: 0, y: 0 };
  const to = places.get(edge.callee) ?? { x: 0, y: 0 };
  const [x, end] = [from.x + nodeWidth, to.x];
  const bend = Math.max(30, Math.abs(end - x) / 2);
  const path = `M${x},${from.y} C${x + bend},${from.y} ${end - bend},${to.y} ${end},${to.y}`;
  const thickness = 1 + 5 * Math.sqrt(edge.calls / most);
  const failed = edge.errors / edge.calls > 0.01;
  const said = `${edge.caller} → ${edge.callee}: ${count(edge.calls)} calls, ${share(edge.errors, edge.calls)} errors`;
  const title = svg('title', {});
  title.textContent = said;
  return svg(
    'path',
    { d: path, 'stroke-width': thickness, class: failed ? 'failed' : undefined },
    title,
  );
}

function nodeOf(name: string, { x, y }: Spot): SVGElement {
  const box = svg('rect', { x, y: y - 14, width: nodeWidth, height: 28, rx: 6 });
  box.style.setProperty('--hue', String(hue(name)));
  const label = svg('text', { x: x + nodeWidth / 2, y: y + 4, 'text-anchor': 'middle' });
  label.textContent = name.length > 20 ? `${name.slice(0, 19)}…` : name;
  return svg('g', {}, box, label);
}

function tableOf(rows: readonly Edge[], date: string): HTMLElement {
  return table(
    `Calls on ${date} (UTC)`,
    [
      {
        title: 'Caller',
        cell: ({ caller, virtualSide }) =>
          virtualSide === 'caller'
            ? caller
            : h('a', { href: href('service', { service: caller }) }, caller),
      },
      {
        title: 'Callee',
        cell: ({ callee, virtualSide }) =>
          virtualSide === 'callee'
            ? callee
            : h('a', { href: href('service', { service: callee }) }, callee),
      },
      { title: 'By', cell: ({ connectionType }) => connectionType.replace('_', ' ') || 'call' },
      { title: 'Calls', isNumber: true, cell: ({ calls }) => count(calls) },
      { title: 'Errors', isNumber: true, cell: ({ calls, errors }) => share(errors, calls) },
      { title: 'p50', isNumber: true, cell: ({ p50Ms }) => duration(p50Ms) },
      { title: 'p95', isNumber: true, cell: ({ p95Ms }) => duration(p95Ms) },
      { title: 'p99', isNumber: true, cell: ({ p99Ms }) => duration(p99Ms) },
    ],
    rows,
  );
}
