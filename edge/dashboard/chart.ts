/** Draws series over time: large charts with uPlot, small ones as lines of SVG. */
import uPlot from 'uplot';
import { h, svg } from './dom.ts';

/** A stretch of time, seconds since 1970, that is drawn behind the lines. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly standing: 'exact' | 'provisional';
}

export interface Line {
  readonly title: string;
  readonly values: readonly (number | null)[];
}

export interface Series {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly bands: readonly Band[];
}

/** A chart that is given its series again and again. */
export class Chart {
  readonly element: HTMLElement;
  readonly #title: string;
  readonly #format: (value: number) => string;
  readonly #place: HTMLElement;
  #plot: uPlot | undefined;
  #bands: readonly Band[] = [];

  constructor(title: string, format: (value: number) => string) {
    this.#title = title;
    this.#format = format;
    this.#place = h('div', { class: 'plot' });
    this.element = h(
      'figure',
      { role: 'img', 'aria-label': title },
      h('figcaption', {}, title),
      this.#place,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#place);
  }

  show({ times, lines, bands }: Series): void {
    this.#bands = bands;
    const data = [times, ...lines.map(({ values }) => values)] as uPlot.AlignedData;
    if (this.#plot === undefined) this.#plot = this.#make(lines, data);
    else this.#plot.setData(data);
    const last = lines.map(({ title, values }) => `${title} ${this.#last(values)}`).join(', ');
    this.element.setAttribute('aria-label', `${this.#title}; last: ${last}`);
  }

  #last(values: readonly (number | null)[]): string {
    const value = values.findLast((each) => each !== null);
    return value === undefined || value === null ? 'none' : this.#format(value);
  }

  #make(lines: readonly Line[], data: uPlot.AlignedData): uPlot {
    const colour = (name: string) => () => this.#colour(name);
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 } };
    const format = this.#format;
    return new uPlot(
      {
        width: this.#place.clientWidth || 300,
        height: 180,
        scales: { y: { range: (_, __, max) => [0, (max || 1) * 1.05] } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(clock) },
          { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) },
        ],
        series: [
          {},
          ...lines.map(({ title }, index) => ({
            label: title,
            stroke: colour(`--series-${index + 1}`),
            width: 2,
            value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
          })),
        ],
        hooks: { drawClear: [(plot) => this.#drawBands(plot)] },
      },
      data,
      this.#place,
    );
  }

  /** A colour of the style sheet as a canvas takes it: without variables, light or dark. */
  #colour(name: string): string {
    this.#place.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#place);
    this.#place.style.color = '';
    return color;
  }

  /** Exact stretches are filled, provisional ones hatched; what is live has nothing behind it. */
  #drawBands(plot: uPlot): void {
    const { ctx, bbox } = plot;
    for (const { from, to, standing } of this.#bands) {
      const left = Math.max(bbox.left, plot.valToPos(from, 'x', true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, 'x', true));
      if (right <= left) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.fillStyle = ctx.strokeStyle = this.#colour('--exact-band');
      if (standing === 'exact') ctx.fillRect(left, bbox.top, right - left, bbox.height);
      else hatch(ctx, left, right, bbox);
      ctx.restore();
    }
  }

  #resize(): void {
    const width = this.#place.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) {
      this.#plot.setSize({ width, height: 180 });
    }
  }
}

/** `13:05`, or the day at its begin, UTC. */
function clock(seconds: number): string {
  const iso = new Date(seconds * 1000).toISOString();
  return seconds % 86_400 === 0 ? iso.slice(5, 10) : iso.slice(11, 16);
}

function hatch(ctx: CanvasRenderingContext2D, left: number, right: number, box: uPlot.BBox): void {
  ctx.lineWidth = 2;
  ctx.beginPath();
  for (let at = left - box.height; at < right; at += 10) {
    ctx.moveTo(at, box.top + box.height);
    ctx.lineTo(at + box.height, box.top);
  }
  ctx.stroke();
}

/** A line as small as a word; `title` is what it says. */
export function sparkline(values: readonly number[], title: string): SVGElement {
  const [width, height] = [96, 24];
  const max = Math.max(1, ...values);
  const step = width / Math.max(1, values.length - 1);
  const points = values.map((value, index) => {
    const y = height - 1 - (value / max) * (height - 2);
    return `${(index * step).toFixed(1)},${y.toFixed(1)}`;
  });
  const attributes = { class: 'spark', viewBox: `0 0 ${width} ${height}`, role: 'img' };
  return svg(
    'svg',
    { ...attributes, 'aria-label': title },
    svg('polyline', { points: points.join(' ') }),
  );
}
