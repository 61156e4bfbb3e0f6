/** Writes figures the way people read them: counts, durations, times, layers. */
import { h } from './dom.ts';

const counts = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat('en');
const percent = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 2 });

export function count(value: number): string {
  return Math.abs(value) < 100_000 ? whole.format(value) : counts.format(value);
}

/** Milliseconds with a unit that fits; `–` for none. */
export function duration(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return '–';
  if (ms >= 60_000) return `${(ms / 60_000).toPrecision(3)} min`;
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  if (ms >= 1) return `${ms.toPrecision(3)} ms`;
  return `${(ms * 1000).toPrecision(3)} µs`;
}

export function share(part: number, of: number): string {
  return of === 0 ? '–' : percent.format(part / of);
}

/** A relative error, with its sign. */
export function relative(error: number | null): string {
  if (error === null) return '–';
  return `${error > 0 ? '+' : ''}${percent.format(error)}`;
}

/** A time of day in UTC, from ISO 8601; with its date when that is not today. */
export function time(iso: string, nowMs: number): string {
  const day = iso.slice(0, 10);
  const clock = iso.slice(11, 23).replace(/Z$/, '');
  return day === new Date(nowMs).toISOString().slice(0, 10) ? clock : `${day} ${clock}`;
}

export interface Provenance {
  readonly layer: string;
  readonly isFinal: boolean;
}

/** What a figure is: exact, exact of what came so far, or live. */
export function standing({ layer, isFinal }: Provenance): 'exact' | 'provisional' | 'live' {
  if (layer !== 'batch') return 'live';
  return isFinal ? 'exact' : 'provisional';
}

const meanings = {
  exact: 'computed by the batch from everything that was sent',
  provisional: 'computed by the batch; more may still come',
  live: 'from the speed layer: may hold duplicates, quantiles are estimates',
};

export function badge(of: Provenance): HTMLElement {
  const what = standing(of);
  return h('span', { class: `badge ${what}`, title: meanings[what] }, what);
}

/** Identifies a service by colour, the same everywhere. */
export function hue(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}
