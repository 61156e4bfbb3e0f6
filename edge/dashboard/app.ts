/** The dashboard's entry: takes the address, opens its page, and looks again while it is seen. */
import { fill, h } from './dom.ts';
import { href } from './page.ts';
import type { Open, Page, Place, Visit } from './page.ts';
import { graph } from './page/graph.ts';
import { logs } from './page/logs.ts';
import { metrics } from './page/metrics.ts';
import { service } from './page/service.ts';
import { services } from './page/services.ts';
import { trace } from './page/trace.ts';
import { traces } from './page/traces.ts';
import { trust } from './page/trust.ts';
import { keepKey, Refusal } from './read.ts';

const pages: Readonly<Record<string, Page>> = {
  services,
  service,
  traces,
  trace,
  graph,
  logs,
  metrics,
  trust,
};

/** Pages that stand in the navigation. */
const main = { services, graph, traces, logs, metrics, trust };

/** Pause between two looks, and how many times a look may take before the pause grows with it. */
const pauseMs = 700;
const pauseLooks = 3;

/** After so long a page that has shown nothing yet says that it is not forgotten. */
const slowMs = 1500;

const root = document.querySelector('main') as HTMLElement;
const notice = document.querySelector('#notice') as HTMLElement;
const nav = document.querySelector('nav ul') as HTMLElement;
const live = document.querySelector('#live') as HTMLInputElement;

let visiting = new AbortController();

function placeOf(hash: string): Place {
  const [name = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  return {
    name: Object.hasOwn(pages, name) ? name : 'services',
    parameters: new URLSearchParams(query),
  };
}

function navigate(place: Place): void {
  const range = place.parameters.get('range') ?? '';
  const links = Object.entries(main).map(([name, page]) => {
    const current = name === place.name ? 'page' : undefined;
    const title = page.title({ name, parameters: new URLSearchParams() });
    return h(
      'li',
      {},
      h('a', { href: href(name, { range }), 'aria-current': current, 'data-key': name }, title),
    );
  });
  fill(nav, ...links);
}

function enter(): void {
  visiting.abort();
  visiting = new AbortController();
  const place = placeOf(location.hash);
  const page = pages[place.name] ?? services;
  const title = page.title(place);
  document.title = `${title} · Tidemark`;
  navigate(place);
  const heading = h('h1', { tabindex: -1 }, title);
  root.replaceChildren(heading);
  fill(notice);
  const visit: Visit = {
    place,
    change: (parameters) => {
      const all = { ...Object.fromEntries(place.parameters), ...parameters };
      location.hash = href(place.name, all);
    },
    nowMs: () => Date.now(),
  };
  void look(page.open(root, visit), visiting.signal);
}

/** Refreshes again and again while the page is open, seen and live. */
async function look(open: Open, signal: AbortSignal): Promise<void> {
  const slow = setTimeout(() => {
    if (!signal.aborted) fill(notice, h('p', {}, 'Still waiting for an answer …'));
  }, slowMs);
  for (let first = true; !signal.aborted; first = false) {
    const startMs = performance.now();
    if (first || (open.isLive && live.checked && !document.hidden)) await lookOnce(open, signal);
    clearTimeout(slow);
    const tookMs = performance.now() - startMs;
    await new Promise((resolve) => setTimeout(resolve, Math.max(pauseMs, tookMs * pauseLooks)));
  }
}

async function lookOnce(open: Open, signal: AbortSignal): Promise<void> {
  try {
    await open.refresh(signal);
    fill(notice);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refusal && (error.status === 401 || error.status === 403))
      askForKey(error);
    else
      fill(
        notice,
        h('p', { class: 'error' }, error instanceof Error ? error.message : 'Unknown error'),
      );
  }
}

/** A field for the key; it stays while the user types. */
function askForKey({ message }: Refusal): void {
  if (notice.querySelector('form') !== null) return;
  const input = h('input', { type: 'password', autocomplete: 'off', required: true });
  const form = h(
    'form',
    {},
    h('p', {}, message),
    h('label', {}, 'API key ', input),
    h('button', {}, 'Use it'),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    keepKey(input.value.trim());
    enter();
  });
  fill(notice, form);
}

addEventListener('hashchange', () => {
  const before = root.querySelector('h1')?.textContent;
  enter();
  // A new page is announced by its heading; a changed filter keeps the focus where it is.
  const heading = root.querySelector('h1');
  if (heading?.textContent !== before) heading?.focus();
});
enter();
